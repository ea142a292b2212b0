//! Memory shared with whoever holds the same file: the only place where any is mapped.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

const WRITABLE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A part of a file, mapped shared and writable: others may change it at any moment, so that it is
/// seen as atomics only.
#[derive(Debug)]
pub struct Mapping(Pages);

/// A part of a file, mapped shared and writable twice in a row, so that what wraps around its end
/// is contiguous nevertheless.
///
/// It is seen as plain bytes: that is what parsers take. So whoever maps it gives their word that
/// nobody else changes it meanwhile.
#[derive(Debug)]
pub struct RingMapping(Pages);

/// A part of a file, mapped shared and readable: others may change it at any moment.
#[derive(Debug)]
pub struct ReadOnlyMapping(Pages);

#[derive(Debug)]
struct Pages {
    base: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes of the file from its start on, in whole pages. To touch a page that the
    /// file does not have raises SIGBUS (mmap(2)): whoever maps a file makes sure that nobody shortens
    /// it so far.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn new(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        Pages::new(file, 0, length, WRITABLE, flags).map(Self)
    }

    /// The mapping seen as a `T`, from its first byte on.
    ///
    /// # Panics
    /// When it is shorter than a `T`.
    ///
    /// # Safety
    /// Any bytes must be a valid `T`, and all fields of `T` must be atomics.
    #[must_use]
    pub unsafe fn view<T>(&self) -> &T {
        assert!(
            size_of::<T>() <= self.0.length,
            "a mapping too short for its header"
        );
        // SAFETY: long enough, page-aligned, and valid by the caller's word.
        unsafe { self.0.base.cast::<T>().as_ref() }
    }
}

impl RingMapping {
    /// Maps `length` bytes of the file from `offset` on, both in whole pages. The mapping is twice as
    /// long.
    ///
    /// # Errors
    /// As mmap(2).
    ///
    /// # Safety
    /// While a reference into the mapping lives, nobody else may write to that part of the file:
    /// through another mapping or without one, in this process or another. And until the mapping is
    /// dropped nobody may shorten the file so far (SIGBUS).
    ///
    /// Each byte of the file has two places, of which the compiler knows nothing: between a write to
    /// one and a read of the other there must be something that it cannot see through, such as a
    /// system call.
    pub unsafe fn new(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses a free address, and nothing is there yet.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                2 * length,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )?
        };
        let pages = Pages {
            base: non_null(base),
            length: 2 * length,
        };
        for half in [0, length] {
            // SAFETY: replaces a part of the reservation above, which nobody else knows.
            unsafe {
                mmap(
                    base.cast::<u8>().add(half).cast(),
                    length,
                    WRITABLE,
                    MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED,
                    file,
                    offset,
                )?;
            }
        }
        Ok(Self(pages))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped and readable for as long as `self` lives; writers need `&mut self`, and there
        // are no others by the word of whoever made this.
        unsafe { slice::from_raw_parts(self.0.base.as_ptr(), self.0.length) }
    }

    /// The bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this the only reference.
        unsafe { slice::from_raw_parts_mut(self.0.base.as_ptr(), self.0.length) }
    }
}

// SAFETY: the mapping belongs to this value alone, and is read as an atomic.
unsafe impl Sync for ReadOnlyMapping {}

impl ReadOnlyMapping {
    /// Maps `length` bytes of the file from its start on. What of its last page lies behind its end
    /// reads as 0. To read a page that the file does not have raises SIGBUS (mmap(2)): whoever maps a
    /// file makes sure that nobody shortens it so far.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn new(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        Pages::new(file, 0, length, ProtFlags::READ, MapFlags::SHARED).map(Self)
    }

    /// The byte that stands at `place` now, by a relaxed load.
    ///
    /// # Panics
    /// When the mapping ends before it.
    #[must_use]
    pub fn byte(&self, place: usize) -> u8 {
        assert!(place < self.0.length, "a place behind a mapping's end");
        // SAFETY: within what is mapped for as long as `self` lives. Of memory that cannot be written
        // only relaxed loads are allowed (std::sync::atomic).
        let byte = unsafe { self.0.base.add(place).cast::<AtomicU8>().as_ref() };
        byte.load(Ordering::Relaxed)
    }
}

// SAFETY: the mapping belongs to this value alone, as a Box's memory would.
unsafe impl Send for Pages {}

impl Pages {
    fn new(
        file: BorrowedFd<'_>,
        offset: u64,
        length: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        // SAFETY: the kernel chooses a free address.
        let base = unsafe { mmap(ptr::null_mut(), length, protection, flags, file, offset)? };
        Ok(Self {
            base: non_null(base),
            length,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. A failure would leak it, no more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}

fn non_null(base: *mut std::ffi::c_void) -> NonNull<u8> {
    NonNull::new(base.cast()).expect("mmap(2) never returns null without MAP_FIXED")
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::io::{pread, pwrite};
    use rustix::param::page_size;

    use super::*;

    fn file(length: usize) -> OwnedFd {
        let file = memfd_create("mapped", MemfdFlags::CLOEXEC).expect("memory");
        ftruncate(&file, length as u64).expect("a file");
        file
    }

    #[test]
    fn what_is_behind_the_end_of_a_ring_is_its_start() {
        let page = page_size();
        let file = file(2 * page);
        let offset = page as u64;
        // SAFETY: nobody else knows the file.
        let mut ring = unsafe { RingMapping::new(file.as_fd(), offset, page).expect("a ring") };
        ring.bytes_mut()[page - 1..=page].copy_from_slice(b"ab");
        assert_eq!(ring.bytes().len(), 2 * page);
        assert_eq!((ring.bytes()[0], ring.bytes()[2 * page - 1]), (b'b', b'a'));
        let mut in_file = vec![0; page];
        assert_eq!(pread(&file, &mut in_file, offset), Ok(page));
        assert_eq!((in_file[0], in_file[page - 1]), (b'b', b'a'));
    }

    #[test]
    fn what_others_write_is_read() {
        let file = file(8);
        let mapping = ReadOnlyMapping::new(file.as_fd(), 9).expect("a mapping");
        assert_eq!(mapping.byte(8), 0);
        assert_eq!(pwrite(&file, b"a", 8), Ok(1));
        assert_eq!(mapping.byte(8), b'a');
    }

    #[test]
    #[should_panic(expected = "behind a mapping's end")]
    fn no_byte_is_read_behind_a_mapping() {
        let mapping = ReadOnlyMapping::new(file(8).as_fd(), 8).expect("a mapping");
        let _ = mapping.byte(8);
    }
}
