//! Where the model is, and the memory that it runs in.

#[cfg(linked_image)]
use kinglet::Image;
use kinglet_app::{BootError, Model};
use kinglet_machine::spare_ram;

#[cfg(linked_image)]
pub use linked::{open, SCRATCH_LEN, STATE_LEN};
#[cfg(not(linked_image))]
pub use loaded::{open, SCRATCH_LEN, STATE_LEN};

/// A model, and the RAM that nothing else uses.
type Opened = Result<(Model<'static>, &'static mut [u8]), BootError>;

/// The image is a part of the program: the sizes of its buffers are known
/// when the program is compiled, and an unfit image does not compile.
#[cfg(linked_image)]
mod linked {
    use super::{spare_ram, Image, Model, Opened};
    use kinglet::Header;

    static IMAGE: &[u8] = kinglet::include_image!(concat!(env!("OUT_DIR"), "/model.kgl"));

    const HEADER: Header = Header::expect(IMAGE);

    /// Words of the state.
    pub const STATE_LEN: usize = HEADER.shape.state_len();
    /// Words of the scratch.
    pub const SCRATCH_LEN: usize = HEADER.shape.scratch_len();

    /// The image, and the buffers as they are given.
    #[inline(never)]
    pub fn open(state: &'static mut [i32], scratch: &'static mut [i32]) -> Opened {
        let image = Image::new(IMAGE)?;
        image.verify_checksum()?;
        let model = Model {
            image,
            state,
            scratch,
        };
        Ok((model, spare_ram().unwrap_or_default()))
    }
}

/// The image was put into the spare RAM by QEMU's loader. Its buffers lie
/// after it, because no static has a size that suits every model.
#[cfg(not(linked_image))]
mod loaded {
    use super::{spare_ram, Model, Opened};
    use kinglet::shape::{round_up, ALIGN};
    use kinglet::Header;

    /// The static buffers are empty.
    pub const STATE_LEN: usize = 0;
    /// The static buffers are empty.
    pub const SCRATCH_LEN: usize = 0;

    /// The image and the memory after it. The given buffers are not used.
    #[inline(never)]
    pub fn open(_: &'static mut [i32], _: &'static mut [i32]) -> Opened {
        let ram = spare_ram().unwrap_or_default();
        let header = Header::parse(ram)?;
        let image_bytes = round_up(header.image_bytes as usize, ALIGN).min(ram.len());
        let (image, rest) = ram.split_at_mut(image_bytes);
        let arena_bytes =
            (header.shape.state_bytes() + header.shape.scratch_bytes()).min(rest.len());
        let (arena, spare) = rest.split_at_mut(arena_bytes);
        let model = Model::open(image, bytemuck::cast_slice_mut(arena))?;
        Ok((model, spare))
    }
}
