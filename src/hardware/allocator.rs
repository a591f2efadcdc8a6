//! Settings of the process that must be made before any other thread runs: what the allocator keeps of freed memory,
//! and how many compiled kernels the matrix library keeps.

/// Keeps freed blocks of many megabytes for the next allocation. Every layer allocates and frees its activations; by
/// default glibc returns such blocks to the system at once, which then clears and maps every page of the next one
/// again.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain settings of the allocator, made before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Limits the two caches in which oneDNN keeps compiled kernels, one for every shape, up to a thousand each. On a long
/// file they would take most of the memory, while a window of it needs some dozens. What the environment says already
/// stays.
pub fn keep_few_compiled_kernels() {
    for name in ["LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: no other thread runs yet.
            unsafe { std::env::set_var(name, "48") };
        }
    }
}
