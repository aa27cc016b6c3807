//! Reading the arrays of numpy's `.npz` files.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

/// An open `.npz` file.
#[derive(Debug)]
pub struct Npz {
    archive: ZipArchive<File>,
}

impl Npz {
    /// Opens the file, which a test expects to be good.
    pub fn open(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self {
            archive: ZipArchive::new(file).expect("a zip file"),
        }
    }

    /// The data of the array `name`, of numpy type `descr`, if there is one.
    fn data(&mut self, name: &str, descr: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.archive
            .by_name(&format!("{name}.npy"))
            .ok()?
            .read_to_end(&mut bytes)
            .expect("data");
        npy_data(&bytes, descr).map(<[u8]>::to_vec)
    }

    /// A float32 array, flattened.
    pub fn f32(&mut self, name: &str) -> Option<Vec<f32>> {
        let data = self.data(name, "<f4")?;
        Some(
            data.chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    }

    /// An int32 array of token ids.
    pub fn tokens(&mut self, name: &str) -> Option<Vec<u32>> {
        let data = self.data(name, "<i4")?;
        Some(
            data.chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    }
}

/// The data of a `.npy` file whose type is `descr`.
fn npy_data<'a>(bytes: &'a [u8], descr: &str) -> Option<&'a [u8]> {
    let len = usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]));
    let header = std::str::from_utf8(bytes.get(10..10 + len)?).ok()?;
    assert!(header.contains(&format!("'descr': '{descr}'")), "{header}");
    bytes.get(10 + len..)
}

/// The data of a float32 `.npy` file, flattened.
pub fn read_npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let data = npy_data(&bytes, "<f4").expect("a float32 array");
    data.chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}
