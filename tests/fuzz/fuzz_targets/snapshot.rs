//! Flash of any content: what is restored was saved whole, and the next save can
//! be restored.
#![no_main]

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use kinglet::snapshot::Snapshots;
use kinglet::{include_image, Image};
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

struct Flash(Vec<u8>);

impl ErrorType for Flash {
    type Error = Infallible;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 512;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        self.0[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let cells = self.0[offset as usize..].iter_mut();
        cells.zip(bytes).for_each(|(cell, byte)| *cell &= byte);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let image = Image::new(include_image!("../../../core/tests/data/tiny.kgl")).expect("an image");
    let region = Snapshots::<Flash>::region_bytes(image.shape());
    let mut flash = bytes.to_vec();
    flash.resize(region as usize, 0xff);
    let mut snapshots = Snapshots::new(Flash(flash), 0..region).expect("whole sectors");
    let mut state = vec![5; image.shape().state_len()];
    let _ = snapshots.restore(&image, &mut state);
    state.fill(7);
    snapshots.save(&image, &state, 7).expect("it is never worn");
    state.fill(0);
    let restored = snapshots.restore(&image, &mut state).expect("it was saved");
    assert!(restored.tokens == 7 && state.iter().all(|&value| value == 7));
});
