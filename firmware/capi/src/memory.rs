//! From pointers to references: the checks that every function makes.

use crate::kgl_status::{self, *};

/// Addresses of some bytes.
#[derive(Clone, Copy)]
pub struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// The span of `len` values at `data`, if there can be such a span.
    pub fn of<T>(data: *const T, len: usize) -> Result<Self, kgl_status> {
        if data.is_null() {
            return Err(KGL_ERROR_NULL);
        }
        if !data.is_aligned() {
            return Err(KGL_ERROR_ALIGNMENT);
        }
        let start = data as usize;
        let bytes = len
            .checked_mul(size_of::<T>())
            .filter(|&bytes| bytes <= isize::MAX as usize);
        let end = bytes.and_then(|bytes| start.checked_add(bytes));
        let end = end.ok_or(KGL_ERROR_LENGTH)?;
        Ok(Self { start, end })
    }

    /// Whether the two have a byte in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Refuses spans of which two share memory.
pub fn disjoint(spans: &[Span]) -> Result<(), kgl_status> {
    let mut rest = spans;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| first.overlaps(*other)) {
            return Err(KGL_ERROR_OVERLAP);
        }
        rest = others;
    }
    Ok(())
}

/// A checked place for a result. It is written by value: no reference is made
/// that another argument could share memory with.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks the pointer.
    ///
    /// # Safety
    /// Memory for a `T` lies there, and nobody else uses it during the call.
    pub unsafe fn new(place: *mut T) -> Result<Self, kgl_status> {
        Span::of(place, 1)?;
        Ok(Self(place))
    }

    /// Where it is.
    pub fn span(&self) -> Result<Span, kgl_status> {
        Span::of(self.0, 1)
    }

    /// Writes the result.
    pub fn put(self, value: T) {
        // SAFETY: `new` was told that a `T` may be written here; it is aligned
        // and not NULL.
        unsafe { self.0.write(value) }
    }
}

/// A checked array to write to, value by value.
pub struct OutArray<T> {
    data: *mut T,
    len: usize,
    written: usize,
}

impl<T> OutArray<T> {
    /// Checks pointer and length.
    ///
    /// # Safety
    /// Memory for `len` values lies there, and nobody else uses it during the call.
    pub unsafe fn new(data: *mut T, len: usize) -> Result<Self, kgl_status> {
        Span::of(data, len)?;
        Ok(Self {
            data,
            len,
            written: 0,
        })
    }

    /// Where it is.
    pub fn span(&self) -> Result<Span, kgl_status> {
        Span::of(self.data, self.len)
    }

    /// Writes one more value.
    pub fn push(&mut self, value: T) -> Result<(), kgl_status> {
        if self.written >= self.len {
            return Err(KGL_ERROR_ROOM);
        }
        // SAFETY: `new` was told that `len` values may be written here, and
        // this is one of them.
        unsafe { self.data.add(self.written).write(value) };
        self.written += 1;
        Ok(())
    }

    /// Values written.
    pub fn written(&self) -> usize {
        self.written
    }
}

/// The values at a pointer.
///
/// # Safety
/// `len` values lie there that nobody changes during `'a`.
pub unsafe fn slice<'a, T>(data: *const T, len: usize) -> Result<&'a [T], kgl_status> {
    Span::of(data, len)?;
    // SAFETY: not NULL, aligned, no longer than half of the address space; the
    // rest is what the caller promises.
    Ok(unsafe { core::slice::from_raw_parts(data, len) })
}

/// The values at a pointer, for writing.
///
/// # Safety
/// `len` values lie there that nobody else uses during `'a`.
pub unsafe fn slice_mut<'a, T>(data: *mut T, len: usize) -> Result<&'a mut [T], kgl_status> {
    Span::of(data, len)?;
    // SAFETY: as for `slice`.
    Ok(unsafe { core::slice::from_raw_parts_mut(data, len) })
}
