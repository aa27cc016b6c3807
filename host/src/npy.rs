//! Writing numpy's `.npy` files (format version 1.0).

use std::io::{self, Write};

/// Writes a float32 array row by row.
#[derive(Debug)]
pub struct NpyWriter<W: Write> {
    out: W,
}

impl<W: Write> NpyWriter<W> {
    /// Writes the header of an array `[rows, cols]`.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut out: W, rows: usize, cols: usize) -> io::Result<Self> {
        let dict =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
        // Magic (6), version (2), length (2), dictionary, newline: padded to 64.
        let padding = (10 + dict.len() + 1).next_multiple_of(64) - (10 + dict.len() + 1);
        let len = (dict.len() + padding + 1) as u16;
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&len.to_le_bytes())?;
        writeln!(out, "{dict}{:padding$}", "")?;
        Ok(Self { out })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// The writer's.
    pub fn row(&mut self, row: &[f32]) -> io::Result<()> {
        row.iter()
            .try_for_each(|v| self.out.write_all(&v.to_le_bytes()))
    }

    /// Flushes.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_padded_and_says_the_shape() {
        let mut bytes = Vec::new();
        let mut npy = NpyWriter::new(&mut bytes, 1, 2).unwrap();
        npy.row(&[1.0, -2.0]).unwrap();
        npy.finish().unwrap();
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(u16::from_le_bytes([bytes[8], bytes[9]]), 118);
        assert!(
            bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }")
        );
        assert_eq!(bytes[127], b'\n');
        assert_eq!(&bytes[128..], [0, 0, 128, 63, 0, 0, 0, 192]);
    }
}
