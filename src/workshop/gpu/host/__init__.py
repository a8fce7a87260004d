"""The host side of the kernel language: device contexts, buffers, streams."""

from workshop.gpu.host.buffers import DeviceBuffer as DeviceBuffer
from workshop.gpu.host.buffers import HostBuffer as HostBuffer
from workshop.gpu.host.context import DeviceContext as DeviceContext
from workshop.gpu.host.stream import Stream as Stream
from workshop.gpu.limits import DeviceAttribute as DeviceAttribute
