//! Writes GGUF files for tests, good and bad ones.

use super::dtype::Dtype;
use half::f16;

/// A GGUF file that is put together value by value.
#[derive(Clone, Default)]
pub(crate) struct Gguf {
    values: Vec<u8>,
    value_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    /// A file of this architecture.
    pub fn new(architecture: &str) -> Self {
        Self::default().text("general.architecture", architecture)
    }

    pub fn value(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        self.values.extend(text(key));
        self.values.extend(kind.to_le_bytes());
        self.values.extend(bytes);
        self.value_count += 1;
        self
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.value(key, 8, &text(value))
    }

    pub fn word(self, key: &str, value: u32) -> Self {
        self.value(key, 4, &value.to_le_bytes())
    }

    pub fn float(self, key: &str, value: f32) -> Self {
        self.value(key, 6, &value.to_le_bytes())
    }

    pub fn texts(self, key: &str, values: &[&str]) -> Self {
        let len = (values.len() as u64).to_le_bytes();
        let values = values.iter().flat_map(|value| text(value));
        let array = 8u32.to_le_bytes().into_iter().chain(len).chain(values);
        self.value(key, 9, &array.collect::<Vec<_>>())
    }

    /// A tensor whose dimensions, the outermost first, type and offset are as they are said.
    pub fn said(mut self, name: &str, shape: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.extend(text(name));
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        let shape = shape.iter().rev();
        self.tensors
            .extend(shape.flat_map(|size| size.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    pub fn tensor(self, name: &str, shape: &[usize], dtype: Dtype, values: &[f32]) -> Self {
        let kind = match dtype {
            Dtype::F32 => 0,
            Dtype::F16 => 1,
            Dtype::Q8_0 => 8,
            Dtype::BF16 => 30,
            _ => panic!("no test writes {dtype}"),
        };
        let shape: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
        let offset = self.data.len() as u64;
        let mut file = self.said(name, &shape, kind, offset);
        match dtype {
            Dtype::Q8_0 => file.data.extend(values.chunks(32).flat_map(|block| {
                let (factor, integers) = q8_0(block);
                let integers = integers.into_iter().flat_map(i8::to_le_bytes);
                factor.to_le_bytes().into_iter().chain(integers)
            })),
            _ => dtype.encode(values, &mut file.data),
        }
        file.data.resize(file.data.len().next_multiple_of(32), 0);
        file
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.value_count.to_le_bytes());
        bytes.extend([&self.values[..], &self.tensors].concat());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        [bytes, self.data.clone()].concat()
    }
}

/// The factor and the integers of a block.
fn q8_0(block: &[f32]) -> (f16, Vec<i8>) {
    let largest = block.iter().fold(0f32, |most, value| most.max(value.abs()));
    let factor = f16::from_f32(largest / 127.0);
    let integer = |value: &f32| (value / factor.to_f32()).round() as i8;
    (factor, block.iter().map(integer).collect())
}

/// What is left of values in this type.
pub(crate) fn rounded(dtype: Dtype, values: &[f32]) -> Vec<f32> {
    if dtype == Dtype::Q8_0 {
        let blocks = values.chunks(32).map(q8_0);
        let values = blocks.map(|(factor, integers)| {
            let value = |integer| f32::from(integer) * factor.to_f32();
            integers.into_iter().map(value).collect::<Vec<_>>()
        });
        return values.flatten().collect();
    }
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    dtype.encode(values, &mut bytes);
    dtype.decode(&bytes, &mut out);
    out
}
