//! The tensors of good checkpoints, and the messages of refusals.

use super::testing::*;
use super::writer::{safetensors_bytes, TensorToWrite};
use super::*;
use half::{bf16, f16};

const DTYPES: [Dtype; 4] = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16];

/// Values that are exact in all types, NaN and infinities among them.
const VALUES: [f32; 6] = [1.0, -2.5, 0.0, f32::INFINITY, f32::NAN, -0.0];

fn sample(dtype: Dtype) -> Vec<TensorToWrite<'static>> {
    vec![
        ("blocks.10.w", &[2, 3], dtype, &VALUES),
        ("blocks.2.w", &[6], dtype, &VALUES),
        ("scalar", &[], dtype, &[7.0]),
        ("none", &[0, 4], dtype, &[]),
        ("cube", &[1, 1, 2], dtype, &[0.5, 3.0]),
    ]
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.data.iter().map(|value| value.to_bits()).collect()
}

/// Same names, shapes and bits.
fn assert_same(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!(a.tensors().len(), b.tensors().len());
    for (left, right) in a.tensors().zip(b.tensors()) {
        assert_eq!((&left.name, &left.shape), (&right.name, &right.shape));
        let (x, y) = (a.load(&left.name).unwrap(), b.load(&left.name).unwrap());
        assert_eq!(bits(&x), bits(&y), "{}", left.name);
    }
}

#[test]
fn both_formats_give_back_what_was_written() {
    for dtype in DTYPES {
        let tensors = sample(dtype);
        let zipped = Checkpoint::from_bytes(pth_bytes(&tensors)).unwrap();
        let plain = safetensors_bytes(&tensors, &BTreeMap::new()).unwrap();
        let plain = Checkpoint::from_bytes(plain).unwrap();
        assert_eq!(
            (zipped.format(), plain.format()),
            ("PyTorch", "safetensors")
        );
        assert_same(&plain, &zipped);
        for (name, shape, dtype, values) in tensors {
            assert_eq!(plain.info(name).unwrap().dtype, dtype);
            let tensor = plain.load(name).unwrap();
            assert_eq!(tensor.shape, shape);
            assert!(tensor
                .data
                .iter()
                .zip(values)
                .all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
        }
    }
}

#[test]
fn tensors_are_listed_in_natural_order() {
    let checkpoint = Checkpoint::from_bytes(pth_bytes(&sample(Dtype::F32))).unwrap();
    let names: Vec<_> = checkpoint
        .tensors()
        .map(|info| info.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["blocks.2.w", "blocks.10.w", "cube", "none", "scalar"]
    );
    assert!(checkpoint.info("blocks.3.w").is_none());
    let message = check_message(&checkpoint.load("blocks.3.w").unwrap_err());
    assert_eq!(message, "<memory>: has no tensor named `blocks.3.w`");
}

#[test]
fn every_half_word_decodes_exactly() {
    let words: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let (mut halves, mut brains) = (Vec::new(), Vec::new());
    Dtype::F16.decode(&words, &mut halves);
    Dtype::BF16.decode(&words, &mut brains);
    for word in 0..=u16::MAX {
        let (half, brain) = (halves[usize::from(word)], brains[usize::from(word)]);
        assert_eq!(half.is_nan(), f16::from_bits(word).is_nan());
        assert!(half.is_nan() || f64::from(half) == f16::from_bits(word).to_f64());
        assert_eq!(brain.is_nan(), bf16::from_bits(word).is_nan());
        assert!(brain.is_nan() || brain.to_bits() == u32::from(word) << 16);
    }
}

#[test]
fn tensors_longer_than_a_chunk_are_whole() {
    let values: Vec<f32> = (0..40_001u16).map(f32::from).collect();
    for dtype in DTYPES {
        let bytes = safetensors_bytes(&[("w", &[40_001], dtype, &values)], &BTreeMap::new());
        let tensor = Checkpoint::from_bytes(bytes.unwrap())
            .unwrap()
            .load("w")
            .unwrap();
        let rounded = |value: f32| match dtype {
            Dtype::F64 | Dtype::F32 => value,
            Dtype::F16 => f16::from_f32(value).to_f32(),
            Dtype::BF16 => bf16::from_f32(value).to_f32(),
            Dtype::Q8_0 | Dtype::Other { .. } => panic!("{dtype}"),
        };
        assert!(tensor
            .data
            .iter()
            .zip(&values)
            .all(|(&a, &b)| a == rounded(b)));
    }
}

#[test]
fn files_open_by_content_and_keep_their_notes() {
    let folder = tempfile::tempdir().unwrap();
    // The suffix is wrong on purpose.
    let path = folder.path().join("model.pth");
    let notes = BTreeMap::from([("source".to_owned(), "a \"test\"".to_owned())]);
    write_safetensors(&path, &sample(Dtype::F32), &notes).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), "safetensors");
    assert_eq!(checkpoint.path(), path);
    assert_eq!(checkpoint.metadata(), &notes);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(
        bytes,
        safetensors_bytes(&sample(Dtype::F32), &notes).unwrap()
    );
    // Truncated while it is open.
    std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    let message = checkpoint.load("scalar").unwrap_err().to_string();
    assert!(
        message.contains("ends inside the tensor `scalar`"),
        "{message}"
    );
    assert!(Checkpoint::open(folder.path()).is_err());
    assert!(Checkpoint::open(&folder.path().join("absent")).is_err());
}

#[test]
fn the_official_library_reads_and_writes_the_same() {
    let tensors = sample(Dtype::F32);
    let bytes = safetensors_bytes(&tensors, &BTreeMap::new()).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ours = Checkpoint::from_bytes(bytes.clone()).unwrap();
    assert_eq!(theirs.len(), tensors.len());
    let rewritten = ::safetensors::serialize(theirs.tensors(), None).unwrap();
    assert_same(&ours, &Checkpoint::from_bytes(rewritten).unwrap());
}

#[test]
fn views_of_one_storage_are_cut_out() {
    let row = View {
        shape: &[3],
        strides: &[1],
        offset: 3,
        ..MATRIX
    };
    let turned = View {
        shape: &[3, 2],
        strides: &[1, 3],
        ..MATRIX
    };
    let pickle = Pickle::new()
        .raw(b"}(")
        .text("a")
        .view(&MATRIX)
        .text("row")
        .view(&row);
    // Tied: the same tensor once more, by way of the memo.
    let pickle = pickle
        .text("turned")
        .view(&turned)
        .raw(b"q\x07")
        .text("tied")
        .raw(b"h\x07u");
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&pickle.end())).unwrap();
    let load = |name| checkpoint.load(name).unwrap().data;
    assert_eq!(load("a"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(load("row"), [4.0, 5.0, 6.0]);
    assert_eq!(load("turned"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(load("tied"), load("turned"));
}

#[test]
fn state_dicts_of_modules_open() {
    // An OrderedDict with attributes, a parameter, a counter, and a list.
    let pickle = Pickle::new().ordered_dict().raw(b"(").text("w");
    let pickle = pickle
        .global("torch._utils", "_rebuild_parameter")
        .raw(b"(")
        .view(&MATRIX);
    let pickle = pickle
        .raw(&[0x88])
        .ordered_dict()
        .raw(b"tR")
        .text("steps")
        .int(1 << 40);
    let pickle = pickle
        .text("list")
        .raw(b"](")
        .int(-5)
        .raw(b"Ne")
        .text("x")
        .raw(b"G12345678u");
    let pickle = pickle.raw(b"}").text("_metadata").ordered_dict().raw(b"sb");
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&pickle.end())).unwrap();
    assert_eq!(checkpoint.tensors().len(), 1);
    assert_eq!(checkpoint.load("w").unwrap().shape, [2, 3]);
}

/// Settings, sizes and losses that training programs put beside the weights.
#[test]
fn what_lies_beside_the_weights_is_passed_over() {
    let pickle = Pickle::new().raw(b"}(").text("args");
    // Namespace.__new__, then its attributes.
    let pickle = pickle
        .global("argparse", "Namespace")
        .raw(b")\x81}")
        .text("dim");
    let pickle = pickle
        .int(512)
        .raw(b"sb")
        .text("size")
        .global("torch", "Size");
    let pickle = pickle
        .ints(&[2, 3])
        .raw(b"\x85R")
        .text("dtype")
        .global("torch", "float32");
    let pickle = pickle
        .text("loss")
        .global("numpy.core.multiarray", "scalar");
    let pickle = pickle.raw(b"(").global("numpy", "dtype").raw(b"NtR");
    let pickle = pickle
        .text("counts")
        .global("collections", "defaultdict")
        .raw(b"(");
    let pickle = pickle
        .global("builtins", "int")
        .raw(b"tR")
        .text("n")
        .int(1)
        .raw(b"s");
    // A subclass of tensors, whose shape is a torch.Size.
    let pickle = pickle
        .text("w")
        .global("torch._tensor", "_rebuild_from_type_v2")
        .raw(b"(");
    let pickle = pickle.global("torch._utils", "_rebuild_tensor_v2");
    let pickle = pickle.global("torch.nn.parameter", "Parameter").raw(b"(");
    let pickle = pickle.storage("FloatStorage", "0", 6).int(0);
    let pickle = pickle
        .global("torch", "Size")
        .ints(&[2, 3])
        .raw(b"\x85R")
        .ints(&[3, 1]);
    let pickle = pickle.raw(&[0x89]).ordered_dict().raw(b"t}tRu");
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&pickle.end())).unwrap();
    assert_eq!(checkpoint.tensors().len(), 1);
    assert_eq!(checkpoint.load("w").unwrap().shape, [2, 3]);
}

/// `expand` makes more values than there are.
#[test]
fn expanded_tensors_are_read() {
    let view = View {
        shape: &[2, 3, 4],
        strides: &[3, 1, 0],
        ..MATRIX
    };
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&one_view(&view))).unwrap();
    let expected: Vec<f32> = (0..24).map(|i| (1 + i / 4) as f32).collect();
    assert_eq!(checkpoint.load("w").unwrap().data, expected);
}

/// A tensor beside the dict of the model is listed too, so that nothing is lost.
#[test]
fn tensors_beside_a_nested_state_dict_are_listed() {
    let pickle = Pickle::new().raw(b"}(").text("rng_state").view(&MATRIX);
    let pickle = pickle
        .text("model")
        .raw(b"}")
        .text("w")
        .view(&MATRIX)
        .raw(b"su");
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&pickle.end())).unwrap();
    let names: Vec<_> = checkpoint.tensors().map(|info| &*info.name).collect();
    assert_eq!(names, ["rng_state", "w"]);
}

#[test]
fn protocol_four_opens() {
    let framed = Pickle::default()
        .raw(&[0x80, 4, 0x95])
        .raw(&99u64.to_le_bytes());
    let named =
        framed.raw(b"}\x94\x8c\x01w\x94\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93(");
    let stored = named
        .storage("FloatStorage", "0", 6)
        .raw(b"K\0K\x03\x85K\x01\x85\x89NtRs");
    let checkpoint = Checkpoint::from_bytes(pth_of_pickle(&stored.end())).unwrap();
    assert_eq!(checkpoint.load("w").unwrap().data, [1.0, 2.0, 3.0]);
}

fn nested(keys: &[&str]) -> Vec<u8> {
    let start = Pickle::new().raw(b"}").text("epoch").int(3).raw(b"s");
    let add = |pickle: Pickle, key: &&str| {
        pickle
            .text(key)
            .raw(b"}")
            .text("w")
            .view(&MATRIX)
            .raw(b"ss")
    };
    pth_of_pickle(&keys.iter().fold(start, add).end())
}

#[test]
fn one_nested_state_dict_opens() {
    let checkpoint = Checkpoint::from_bytes(nested(&["state_dict"])).unwrap();
    assert!(checkpoint.info("w").is_some());
    let message = refusal(nested(&["model", "ema"]));
    assert!(
        message.contains("several state dicts (`model`, `ema`)"),
        "{message}"
    );
    let message = refusal(nested(&[]));
    assert!(message.contains("the dict holds no tensors"), "{message}");
}

/// A counter does not refuse a file; only reading it as weights fails.
#[test]
fn tensors_of_other_types_are_listed_and_not_read() {
    let view = View {
        kind: "LongStorage",
        count: 3,
        shape: &[3],
        strides: &[1],
        ..MATRIX
    };
    let json = r#"{"w":{"dtype":"I64","shape":[3],"data_offsets":[0,24]}}"#;
    for bytes in [
        pth_of_pickle(&one_view(&view)),
        safetensors_of_json(json, &[0; 24]),
    ] {
        let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
        let info = checkpoint.info("w").unwrap();
        assert_eq!((info.dtype.name(), &info.shape[..]), ("I64", &[3][..]));
        let message = check_message(&checkpoint.load("w").unwrap_err());
        let expected = "the tensor `w` holds I64 values, but weights are read from";
        assert!(message.contains(expected), "{message}");
    }
    let unknown = r#"{"w":{"dtype":"F6","shape":[3],"data_offsets":[0,3]}}"#;
    let message = refusal(safetensors_of_json(unknown, &[0; 3]));
    assert!(message.contains("holds F6 values"), "{message}");
}

/// The nearest f32, not the leading bits.
#[test]
fn doubles_are_rounded() {
    let values = [0.1f64, -1.0 / 3.0, 1e-320, 1e300];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let json = r#"{"w":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]}}"#;
    let checkpoint = Checkpoint::from_bytes(safetensors_of_json(json, &bytes)).unwrap();
    let expected = [0.1, -1.0 / 3.0, 0.0, f32::INFINITY];
    assert_eq!(checkpoint.load("w").unwrap().data, expected);
    let rows = checkpoint.load_rows("w", 1..2).unwrap();
    assert_eq!(rows.data, expected[2..]);
}

#[test]
fn big_endian_files_are_refused() {
    let pickle = one_view(&MATRIX);
    let file = |order| {
        zip_bytes(&[
            ("m/data.pkl", &pickle),
            ("m/data/0", &[0; 24]),
            ("m/byteorder", order),
        ])
    };
    assert!(exercise(file(b"little")));
    assert!(refusal(file(b"big")).contains("byte order `big`"));
}

/// These lengths begin with the bytes of a pickle of protocol 2 to 5.
#[test]
fn a_header_may_be_as_long_as_a_pickle_begins() {
    for len in [0x280u64, 0x380, 0x480, 0x580, 0x1_0280] {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#);
        bytes.resize(8 + len as usize, b' ');
        bytes.extend(1f32.to_le_bytes());
        assert_eq!(Checkpoint::sniff(&bytes), Some(Format::Safetensors));
        assert!(exercise(bytes), "{len:#x}");
    }
}

#[test]
fn old_and_foreign_files_are_told_apart() {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let mut tar = vec![0; 512];
    tar[..8].copy_from_slice(b"storages");
    tar[257..262].copy_from_slice(b"ustar");
    for bytes in [magic.to_vec(), tar] {
        assert_eq!(Checkpoint::sniff(&bytes), Some(Format::LegacyPyTorch));
        assert!(refusal(bytes).contains("save its state dict again with `torch.save`"));
    }
    for bytes in [
        b"# A text file\n".to_vec(),
        vec![0; 64],
        b"{".to_vec(),
        vec![0xff; 9],
    ] {
        assert_eq!(Checkpoint::sniff(&bytes), None);
        let message = refusal(bytes);
        assert_eq!(
            message,
            "<memory>: is neither an image nor a safetensors file, a PyTorch checkpoint or a GGUF file"
        );
    }
    assert_eq!(
        refusal(Vec::new()),
        "<memory>: the file is empty: download it again"
    );
    let converted = Pickle::new().raw(b"}(").text("_strategy").text("cpu fp32");
    let converted = converted.text("w").view(&MATRIX).raw(b"u").end();
    assert!(refusal(pth_of_pickle(&converted)).contains("ChatRWKV"));
    assert!(refusal(zip_bytes(&[])).contains("has no file `data.pkl`"));
    assert!(refusal(zip_bytes(&[("a.txt", b"text")])).contains("has no file `data.pkl`"));
    let two: [(&str, &[u8]); 2] = [("a/data.pkl", b""), ("b/data.pkl", b"")];
    assert!(refusal(zip_bytes(&two)).contains("more than one file `data.pkl`"));
}

#[test]
fn the_writer_refuses_what_it_cannot_write() {
    let bytes = |tensors: &[TensorToWrite<'_>]| safetensors_bytes(tensors, &BTreeMap::new());
    let twice: TensorToWrite<'_> = ("w", &[1], Dtype::F32, &[1.0]);
    for bad in [
        &[twice, twice][..],
        &[("w", &[2], Dtype::F32, &[1.0])],
        &[("w", &[usize::MAX, 2], Dtype::F32, &[])],
        &[("__metadata__", &[1], Dtype::F32, &[1.0])],
    ] {
        check_message(&bytes(bad).unwrap_err());
    }
}

#[test]
fn golden_checkpoints_are_the_same_in_both_formats() {
    let Some(golden) = golden() else { return };
    for name in ["4v0-660K", "5v2-730K", "7v0-834K"] {
        let plain = golden.join(format!("models/{name}.safetensors"));
        let zipped = golden.join(format!("pth/{name}.pth"));
        let plain = Checkpoint::open(&plain).unwrap();
        assert!(plain.tensors().len() > 70);
        assert_same(&plain, &Checkpoint::open(&zipped).unwrap());
    }
}

#[test]
fn golden_brain_floats_open() {
    let Some(golden) = golden() else { return };
    let path = golden.join("models/6v0-3m-bf16.safetensors");
    let checkpoint = Checkpoint::open(&path).unwrap();
    for info in checkpoint.tensors() {
        assert_eq!(info.dtype, Dtype::BF16);
        let tensor = checkpoint.load(&info.name).unwrap();
        assert!(tensor
            .data
            .iter()
            .all(|value| value.is_finite() && value.to_bits() << 16 == 0));
    }
}
