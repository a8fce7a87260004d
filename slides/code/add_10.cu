// The CUDA C++ of the deck 01_foundations; tests/slides/test_foundations.py compiles the kernel where NVRTC is.
#include <cstdio>

// region: kernel
__global__ void add_10(float *output,
                       const float *a) {
  int i = threadIdx.x;
  output[i] = a[i] + 10;
}
// endregion: kernel

int main() {
  float host[] = {0, 1, 2, 3};
  // region: host
  float *a, *output;
  size_t bytes = 4 * sizeof(float);
  cudaMalloc(&a, bytes);
  cudaMalloc(&output, bytes);
  cudaMemcpy(a, host, bytes,
             cudaMemcpyHostToDevice);
  add_10<<<1, 4>>>(output, a);
  cudaMemcpy(host, output, bytes,
             cudaMemcpyDeviceToHost);
  cudaFree(a);
  cudaFree(output);
  // endregion: host
  std::printf("[%g. %g. %g. %g.]\n", host[0], host[1], host[2], host[3]);
}
