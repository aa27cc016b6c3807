//! The description of an image.

use crate::kgl_status;
use crate::memory::{disjoint, slice, Out, Span};
use core::ffi::c_int;
use kinglet::Image;

/// The description of an image.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kgl_info {
    /// The name of the model in UTF-8, in the image, without a zero byte at
    /// its end; NULL where it has none.
    pub name: *const u8,
    /// Bytes of the name.
    pub name_bytes: usize,
    /// Bytes of the image.
    pub image_bytes: usize,
    /// Bytes of the state that a session needs.
    pub state_bytes: usize,
    /// Bytes of the scratch that a session needs.
    pub scratch_bytes: usize,
    /// Layers.
    pub n_layer: u32,
    /// Channels.
    pub n_embd: u32,
    /// Hidden channels of the channel mix.
    pub n_ffn: u32,
    /// Entries of the vocabulary.
    pub n_vocab: u32,
    /// Classes of a model that answers with one; 0 for a model of text.
    pub n_class: u32,
    /// 1 where the image has a tokenizer, otherwise 0.
    pub has_tokenizer: u32,
}

impl kgl_info {
    fn of(image: &Image<'_>) -> Self {
        let header = image.header();
        let name = image.metadata().map(|metadata| metadata.name);
        Self {
            name: name.map_or(core::ptr::null(), str::as_ptr),
            name_bytes: name.map_or(0, str::len),
            image_bytes: header.image_bytes as usize,
            state_bytes: header.shape.state_bytes(),
            scratch_bytes: header.shape.scratch_bytes(),
            n_layer: header.shape.n_layer,
            n_embd: header.shape.n_embd,
            n_ffn: header.shape.n_ffn,
            n_vocab: header.shape.n_vocab,
            n_class: header.shape.n_class,
            has_tokenizer: u32::from(image.tokenizer().is_some()),
        }
    }
}

/// Checks an image with its checksum, and says what it needs.
///
/// `image`: the first byte of it, aligned to 16 bytes. `image_bytes`: bytes
/// that may be read there; there may be more than the image has.
///
/// # Safety
/// `image` has `image_bytes` bytes; `info` may be written.
#[no_mangle]
pub unsafe extern "C" fn kgl_image_check(
    image: *const u8,
    image_bytes: usize,
    info: *mut kgl_info,
) -> c_int {
    // SAFETY: what C promises.
    kgl_status::of(unsafe { check(image, image_bytes, info) })
}

unsafe fn check(
    image: *const u8,
    image_bytes: usize,
    info: *mut kgl_info,
) -> Result<(), kgl_status> {
    // SAFETY: C promises memory for the result, which nobody else uses.
    let info = unsafe { Out::new(info) }?;
    // SAFETY: C promises `image_bytes` bytes, which nobody changes during the call.
    let image = Image::new(unsafe { slice(image, image_bytes) }?)?;
    let bytes = image.bytes();
    disjoint(&[info.span()?, Span::of(bytes.as_ptr(), bytes.len())?])?;
    image.verify_checksum()?;
    info.put(kgl_info::of(&image));
    Ok(())
}
