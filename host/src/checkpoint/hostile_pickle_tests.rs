//! Pickles that attack: refused, or survived at a bounded cost.

use super::testing::*;

#[test]
fn truncated_pickles_are_errors() {
    let whole = one_view(&MATRIX);
    for len in 0..whole.len() {
        assert!(!exercise(pth_of_pickle(&whole[..len])), "{len}");
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let pickle = Pickle::new()
        .raw(b"}(")
        .text("w")
        .view(&MATRIX)
        .text("w")
        .view(&MATRIX);
    assert!(refusal(pth_of_pickle(&pickle.raw(b"u").end())).contains("`w` is listed twice"));
}

#[test]
fn evil_globals_are_not_run() {
    let old = Pickle::new()
        .global("os", "system")
        .text("true")
        .raw(&[0x85])
        .raw(b"R.")
        .0;
    let new = Pickle::default()
        .raw(b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.")
        .0;
    for (pickle, at) in [(old, 2), (new, 14)] {
        let message = refusal(pth_of_pickle(&pickle));
        let expected = format!("`data.pkl` at byte {at}: refuses to run `os.system`: save");
        assert!(message.contains(&expected), "{message}");
    }
    // A hostile name cannot reach the terminal as it is, nor fill it.
    let name = format!("\u{1b}[31m{}", "x".repeat(200));
    let message = refusal(pth_of_pickle(&Pickle::new().global("m", &name).end()));
    assert!(
        message.contains("`m.\\u{1b}[31mxxx") && message.contains("xxx...`"),
        "{message}"
    );
    for opcode in [b'i', b'o', b'P', 0x82, 0x92, b'I', b'S'] {
        let message = refusal(pth_of_pickle(&Pickle::new().raw(&[opcode]).end()));
        assert!(message.contains("is not used by state dicts"), "{message}");
    }
}

#[test]
fn calls_with_odd_arguments_are_refused() {
    let call = |module: &str, name: &str, arguments: &[u8]| {
        Pickle::new()
            .global(module, name)
            .raw(arguments)
            .raw(b"R")
            .end()
    };
    for pickle in [
        call("torch._utils", "_rebuild_tensor_v2", b")"),
        call("torch._utils", "_rebuild_tensor_v2", b"(NNNNt"),
        call("torch._utils", "_rebuild_tensor_v2", b"N"),
        call("torch._utils", "_rebuild_parameter", b"(Nt"),
        call("collections", "OrderedDict", b"(Nt"),
        call("torch", "FloatStorage", b")"),
        call("torch", "Size", b")"),
        call("torch", "Size", b"(Nt"),
        call("torch._tensor", "_rebuild_from_type_v2", b"(NN)Nt"),
        call("collections", "defaultdict", b"(Nt"),
        Pickle::new().raw(&[b')', 0x81]).end(),
        Pickle::new().raw(&[b'N', b')', 0x81]).end(),
        Pickle::new()
            .global("torch", "Size")
            .raw(&[b')', 0x81])
            .end(),
        Pickle::new().raw(b")Q").end(),
        Pickle::new().raw(b"N)R").end(),
    ] {
        assert!(refusal(pth_of_pickle(&pickle)).contains("`data.pkl` at byte "));
    }
}

#[test]
fn unbalanced_stacks_are_refused() {
    let pickles: [&[u8]; 15] = [
        b".", b"t.", b"R.", b"Q.", b"b.", b"s.", b"u.", b"a.", b"q\0.", b"h\0.", b"N\x86.", b"}(.",
        b"}N(s.", b"}}.", b"}(NNNu.",
    ];
    for pickle in pickles {
        assert!(refusal(pth_of_pickle(pickle)).contains("`data.pkl` at byte "));
    }
    // Not below a mark: these would take what lies under it.
    for pickle in [&b"NN(\x86."[..], b"}N(Ns.", b")N(R."] {
        assert!(refusal(pth_of_pickle(pickle)).contains("`data.pkl` at byte "));
    }
}

#[test]
fn memo_bombs_are_refused() {
    let pickle = Pickle::new().raw(b"}r\xff\xff\xff\xff").end();
    assert!(refusal(pth_of_pickle(&pickle)).contains("the memo is larger"));
}

#[test]
fn deep_nesting_is_survived() {
    for depth in [10_000, 1 << 20, (1 << 20) + 1] {
        let marks = Pickle::new().raw(&b"(".repeat(depth)).end();
        assert!(!exercise(pth_of_pickle(&marks)));
        let tuples = Pickle::new()
            .raw(&b"(".repeat(depth))
            .raw(&b"t".repeat(depth))
            .end();
        assert!(!exercise(pth_of_pickle(&tuples)));
        let wrapped = Pickle::new().raw(b")").raw(&[0x85].repeat(depth)).end();
        assert!(!exercise(pth_of_pickle(&wrapped)));
        let dicts = Pickle::new().raw(&b"}N".repeat(depth)).end();
        assert!(!exercise(pth_of_pickle(&dicts)));
    }
}

/// A pickle in which each tuple holds the one before it twice.
fn doubled(levels: usize) -> Pickle {
    let level = |pickle: Pickle, _| pickle.raw(b"q\x01h\x01\x86");
    (0..levels).fold(Pickle::new().raw(b"}").text("laugh").raw(b"N"), level)
}

#[test]
fn doubled_tuples_do_not_blow_up() {
    let pickle = doubled(100_000)
        .raw(b"s")
        .text("w")
        .view(&MATRIX)
        .raw(b"s")
        .end();
    assert!(exercise(pth_of_pickle(&pickle)));
    // As the shape of a tensor.
    let pickle = Pickle::new()
        .raw(b"}")
        .text("w")
        .global("torch._utils", "_rebuild_tensor_v2");
    let pickle = pickle
        .raw(b"(")
        .storage("FloatStorage", "0", 6)
        .raw(b"K\0N");
    let level = |pickle: Pickle, _| pickle.raw(b"q\x01h\x01\x86");
    let pickle = (0..1000)
        .fold(pickle, level)
        .raw(b"q\x02h\x02\x89NtRs")
        .end();
    assert!(!exercise(pth_of_pickle(&pickle)));
}

#[test]
fn a_dict_that_holds_itself_is_survived() {
    let pickle = Pickle::new().raw(b"}q\x01").text("me").raw(b"h\x01s").end();
    assert!(!exercise(pth_of_pickle(&pickle)));
    let pickle = Pickle::new()
        .raw(b"}q\x01")
        .text("me")
        .raw(b"h\x01s")
        .text("w");
    assert!(exercise(pth_of_pickle(
        &pickle.view(&MATRIX).raw(b"s").end()
    )));
}

#[test]
fn many_keys_of_one_dict_are_looked_at_once() {
    let start = Pickle::new()
        .raw(b"}(N}q\x01(")
        .raw(&b"NN".repeat(100_000))
        .raw(b"u");
    let many = start.raw(&b"Nh\x01".repeat(100_000)).raw(b"u").end();
    assert!(refusal(pth_of_pickle(&many)).contains("holds no tensors"));
}
