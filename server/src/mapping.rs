//! Memory shared with whoever holds the same memfd: the only file that maps any.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A part of a file, mapped shared and writable.
///
/// No reference into it outlives a call that takes `&mut self`, and only one process at a time
/// runs a server on it: the keeper, which holds the file as well, never maps it.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, as a Box's memory would.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes of the file from `offset` on; both in whole pages.
    pub(crate) fn new(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses a free address.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
                file,
                offset,
            )?
        };
        Ok(Self {
            base: non_null(base),
            length,
        })
    }

    /// Maps the same `length` bytes twice in a row, so that what wraps around the end of a ring
    /// is contiguous nevertheless. The mapping is twice as long as `length`.
    pub(crate) fn new_ring(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses a free address, and nothing is there yet.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                2 * length,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )?
        };
        let mapping = Self {
            base: non_null(base),
            length: 2 * length,
        };
        for half in [0, length] {
            // SAFETY: replaces a part of the reservation above, which nobody else knows.
            unsafe {
                mmap(
                    base.cast::<u8>().add(half).cast(),
                    length,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED,
                    file,
                    offset,
                )?;
            }
        }
        Ok(mapping)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped and readable for as long as `self` lives; writers need `&mut self`.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }

    /// The bytes, to change.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this the only reference.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.length) }
    }

    /// The mapping seen as a `T`, from its first byte on.
    ///
    /// # Panics
    /// When it is shorter than a `T`.
    ///
    /// # Safety
    /// Any bytes must be a valid `T`, and all fields of `T` must be atomics.
    pub(crate) unsafe fn view<T>(&self) -> &T {
        assert!(
            size_of::<T>() <= self.length,
            "a mapping too short for its header"
        );
        // SAFETY: long enough, page-aligned, and valid by the caller's word.
        unsafe { self.base.cast::<T>().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. A failure would leak it, no more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}

fn non_null(base: *mut std::ffi::c_void) -> NonNull<u8> {
    NonNull::new(base.cast()).expect("mmap(2) never returns null without MAP_FIXED")
}
