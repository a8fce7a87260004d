"""A custom op: a colour picture to shades of grey. Notebook 17 calls it from PyTorch."""

from workshop import compiler
from workshop.compiler import DeviceContextPtr, InputTensor, OutputTensor, foreach
from workshop.dtype import DType


@compiler.register("grayscale")
class Grayscale:
    @staticmethod
    def execute(
        output: OutputTensor[DType.float32, 2],  # [H, W]
        pic: InputTensor[DType.float32, 3],  # [H, W, 3]
        ctx: DeviceContextPtr,
    ):
        """Weigh red, green and blue as the eye does: 0.21 R + 0.71 G + 0.07 B, in float32."""

        def luminance(row, col):
            return 0.21 * pic[row, col, 0] + 0.71 * pic[row, col, 1] + 0.07 * pic[row, col, 2]

        foreach(luminance, output, ctx)

    @staticmethod
    def shape(pic):
        """Return the output's shape: one value for each pixel of three."""
        if pic.dim_size(2) != 3:
            raise ValueError(f"a picture has shape [H, W, 3], its last axis is {pic.dim_size(2)}")
        return pic.shape[:2]
