//! Where the model is, and the memory that it runs in.

use crate::BootError;
use kinglet::Image;

#[cfg(linked_image)]
pub use linked::{open, SCRATCH_LEN, STATE_LEN};
#[cfg(not(linked_image))]
pub use loaded::{open, SCRATCH_LEN, STATE_LEN};

/// An image and its two buffers.
pub struct Model {
    /// The image, checked but for its checksum.
    pub image: Image<'static>,
    /// `Header::state_len` floats or more.
    pub state: &'static mut [f32],
    /// `Header::scratch_len` floats or more.
    pub scratch: &'static mut [f32],
    /// RAM that nothing else uses, if the machine has any.
    pub spare: &'static mut [u8],
}

/// The image is a part of the program: the sizes of its buffers are known
/// when the program is compiled, and an unfit image does not compile.
#[cfg(linked_image)]
mod linked {
    use super::{BootError, Image, Model};
    use kinglet::{Header, ImageError};
    use kinglet_machine::spare_ram;

    static IMAGE: &[u8] = kinglet::include_image!(concat!(env!("OUT_DIR"), "/model.kgl"));

    const HEADER: Header = match Header::parse(IMAGE) {
        Ok(header) if header.image_bytes as usize <= IMAGE.len() => header,
        Ok(_) | Err(ImageError::Truncated { .. }) => {
            panic!("KINGLET_IMAGE is truncated: the header promises more bytes")
        }
        Err(ImageError::NotAnImage) => panic!("KINGLET_IMAGE is not a Kinglet image"),
        Err(ImageError::FormatVersion(_)) => {
            panic!("KINGLET_IMAGE has a format version that this library does not read")
        }
        Err(ImageError::RwkvVersion(_)) => {
            panic!("KINGLET_IMAGE has an RWKV version that this library does not run")
        }
        Err(ImageError::Layout(_)) => panic!("KINGLET_IMAGE is packed for another family of cores"),
        Err(_) => panic!("KINGLET_IMAGE has a damaged header"),
    };

    /// Floats of the state.
    pub const STATE_LEN: usize = HEADER.state_len();
    /// Floats of the scratch.
    pub const SCRATCH_LEN: usize = HEADER.scratch_len();

    /// The image, and the buffers as they are given.
    pub fn open(
        state: &'static mut [f32],
        scratch: &'static mut [f32],
    ) -> Result<Model, BootError> {
        Ok(Model {
            image: Image::new(IMAGE)?,
            state,
            scratch,
            spare: spare_ram().unwrap_or_default(),
        })
    }
}

/// The image was put into the spare RAM by QEMU's loader. Its buffers lie
/// behind it, because no static has a size that suits every model.
#[cfg(not(linked_image))]
mod loaded {
    use super::{BootError, Image, Model};
    use kinglet::image::{round_up, ALIGN};
    use kinglet::Header;
    use kinglet_machine::spare_ram;

    /// The static buffers are empty.
    pub const STATE_LEN: usize = 0;
    /// The static buffers are empty.
    pub const SCRATCH_LEN: usize = 0;

    /// The image and the memory behind it. The given buffers are not used.
    pub fn open(_: &'static mut [f32], _: &'static mut [f32]) -> Result<Model, BootError> {
        let ram = spare_ram().unwrap_or_default();
        let header = Header::parse(ram)?;
        let image = round_up(header.image_bytes as usize, ALIGN);
        let needed = image.saturating_add(header.state_bytes() + header.scratch_bytes());
        if needed > ram.len() {
            return Err(BootError::SpareRam(needed));
        }
        let (image, rest) = ram.split_at_mut(image);
        let (state, rest) = rest.split_at_mut(header.state_bytes());
        let (scratch, spare) = rest.split_at_mut(header.scratch_bytes());
        Ok(Model {
            image: Image::new(image)?,
            state: bytemuck::cast_slice_mut(state),
            scratch: bytemuck::cast_slice_mut(scratch),
            spare,
        })
    }
}
