"""What an exception says about the device: its memory ended, or it failed. Imports nothing: torch may not be installed,
so names and texts are compared."""

_NAMES = {"OutOfMemoryError", "MemoryError", "OutOfMemory"}  # torch's on any device, Python's, and `contract`'s
_ONNXRUNTIME = {"RuntimeException", "Fail"}
# of torch's allocators, CUDA and its libraries, whose errors have no type of their own
_OUT_OF_MEMORY = (
    "out of memory",  # the driver and CTranslate2: "CUDA error: out of memory", also of a graph or pinned memory
    "can't allocate memory",  # torch's allocator on the CPU
    "could not create a primitive",  # oneDNN
    "ALLOC_FAILED",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED: a workspace
    "CUBLAS_STATUS_NOT_INITIALIZED",  # the handle itself does not fit
    "CUSOLVER_STATUS_NOT_INITIALIZED",
    "Failed to allocate memory",  # onnxruntime
)


def is_out_of_memory(error: Exception) -> bool:
    """True if the GPU, or the CPU's allocator, had no memory left: a smaller batch may fit."""
    name = type(error).__name__
    may_be = isinstance(error, RuntimeError) or name in _ONNXRUNTIME  # texts of others may quote the name of a file
    return name in _NAMES or (may_be and any(text in str(error) for text in _OUT_OF_MEMORY))


def is_device_lost(error: Exception) -> bool:
    """True if the GPU failed. After such an error every later use of it in this process also fails (CUDA C++
    Programming Guide, "Error Checking"); a new process has a new context. An error of a stream's capture ends only that
    capture (CUDA Runtime API, cudaErrorStreamCaptureUnsupported to cudaErrorCapturedEvent)."""
    is_of_the_device = type(error).__name__ == "AcceleratorError" or str(error).startswith("CUDA error:")
    return is_of_the_device and not is_out_of_memory(error) and "captur" not in str(error)
