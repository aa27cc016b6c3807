//! `kinglet prime`: a run from a named state is the run of the whole text,
//! and damaged states are refused.

use kinglet::image::{image_crc32, Image, ImageError, NamedState, CRC_OFFSET};
use kinglet::shape::Layout;
use kinglet::{Session, UnknownState};
use kinglet_host::checkpoint::{write_safetensors, Checkpoint, Dtype};
use kinglet_host::engine::ImageFile;
use kinglet_host::prime::with_state;
use kinglet_tests::models::{kinds, Kind};
use kinglet_tests::{
    demo_image, fails, failure, folder, json, logits, quantize, says, stdout, synth, Args,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn run(image: &Path, args: impl Args) -> Value {
    json(("run", image, args, "-n 12 --json"))
}

fn prime(image: &Path, args: impl Args) -> Value {
    json(("prime", image, "-o", image, "--json", args))
}

/// All that two runs generate is the same.
fn assert_same(one: &Value, other: &Value) {
    for key in ["tokens", "logits_hashes", "text"] {
        assert_eq!(one[key], other[key], "{key}");
    }
}

/// Random models of some versions, with the demo model.
fn images(folder: &Path) -> Vec<PathBuf> {
    let mut images = vec![demo_image(folder, "int4")];
    for version in ["v5", "v6", "v7"] {
        let (checkpoint, image) = (folder.join("x.safetensors"), folder.join(version));
        let size = "--layers 2 --channels 32 --head-size 8";
        synth(&checkpoint, (["--version", version], size));
        quantize(&checkpoint, &image, "--weights int8 --state i8");
        images.push(image);
    }
    images
}

#[test]
fn a_primed_run_is_that_of_the_whole_text() {
    let folder = folder();
    for image in images(folder.path()) {
        let whole = run(&image, ["--prompt", "Once upon a time, a bird"]);
        let nothing = run(&image, "");
        let primed = prime(&image, ["--prompt", "Once upon a time"]);
        assert_eq!(primed["name"], "start");
        let front = run(&image, (["--prompt", "Once upon a time"], "--from empty"));
        assert_eq!(primed["tokens"], front["prompt_tokens"]);
        assert_same(&run(&image, ["--prompt", ", a bird"]), &whole);
        let rest = logits(&image, (["--prompt", ", a bird"], "--from start"));
        let all = logits(&image, ["--prompt", "Once upon a time, a bird"]);
        assert!(!rest.is_empty() && all.ends_with(&rest) && all != rest);
        // All of the text, and more of it, as states of their own.
        let all = ["--prompt", "Once upon a time, a bird"];
        prime(&image, (all, "--name b"));
        assert_same(&run(&image, "--from b"), &whole);
        let more = prime(
            &image,
            (["--prompt", ", a bird"], "--from start --name more"),
        );
        assert_eq!(more["tokens"], whole["prompt_tokens"]);
        assert_same(&run(&image, "--from more"), &whole);
        // The empty text is still there.
        assert_same(&run(&image, "--from empty"), &nothing);
        let states = &json(("inspect", &image, "--json"))["states"];
        let states = states.as_array().unwrap().iter();
        assert!(states
            .map(|state| &state["name"])
            .eq(["start", "b", "more"]));
        // A name that is there is replaced.
        let before = std::fs::read(&image).unwrap().len();
        let again = prime(&image, ["--prompt", "Once upon a time, a bird"]);
        assert_eq!([&primed["replaced"], &again["replaced"]], [false, true]);
        assert_eq!(std::fs::read(&image).unwrap().len(), before);
        assert_same(&run(&image, ""), &whole);
        assert!(stdout(("inspect", &image)).contains("state        more"));
    }
}

#[test]
fn names_and_files_that_do_not_fit_are_refused() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    fails(("run", &image, "--from x"), 2, "kinglet prime");
    prime(&image, "--prompt a --name one");
    let error = failure(("run", &image, "--from x"), 2);
    says(&error, "`one`");
    says(&error, "`empty`");
    for name in ["", "empty", "a name of twenty-five byte"] {
        let args = ("--prompt a -o x.kgl", ["--name", name]);
        fails(("prime", &image, args), 2, "--name");
    }
    for from in ["empty", "one"] {
        let args = ("prime", &image, "-o x.kgl --from", from);
        fails(args, 2, "the prompt is empty");
    }
    let checkpoint = kinglet_tests::demo_checkpoint();
    let text = "--prompt a -o x.kgl";
    fails(("prime", &checkpoint, text), 2, "kinglet quantize");
    // Neither is dropped without a word.
    let both = "--state tuned.pth --prompt a -o x.kgl";
    fails(("prime", &image, both), 2, "cannot be used with '--prompt");
    for number in 1..64 {
        prime(&image, ["--prompt", "a", "--name", &number.to_string()]);
    }
    fails(("prime", &image, "--name y", text), 1, "64 states");
}

/// The root of the mean squared difference.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f32>() / a.len() as f32).sqrt()
}

/// A tuned state is where texts start, merged into a checkpoint or in a file of
/// its own, in float and in the image.
#[test]
fn a_tuned_state_goes_into_the_image() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for version in ["v5", "v6", "v7"] {
        let plain = at("plain.safetensors");
        synth(
            &plain,
            (
                ["--version", version],
                "--layers 2 --channels 64 --head-size 8 --vocab 256",
            ),
        );
        let checkpoint = Checkpoint::open(&plain).unwrap();
        let names: Vec<_> = checkpoint.tensors().map(|info| info.name.clone()).collect();
        let model = names.iter().map(|name| {
            let tensor = checkpoint.load(name).unwrap();
            (name.clone(), tensor.shape, tensor.data)
        });
        // Each value elsewhere in the matrix: a transposed state is another.
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 25.0;
        let state = (0..2).map(|layer| {
            let values = (0..8 * 8 * 8).map(value).collect();
            (
                format!("blocks.{layer}.att.time_state"),
                vec![8, 8, 8],
                values,
            )
        });
        let write = |name: &str, tensors: Vec<(String, Vec<usize>, Vec<f32>)>| {
            let rows: Vec<_> = tensors
                .iter()
                .map(|(name, shape, data)| (&**name, &**shape, Dtype::F32, &**data))
                .collect();
            write_safetensors(&at(name), &rows, checkpoint.metadata()).unwrap();
        };
        write(
            "merged.safetensors",
            model.clone().chain(state.clone()).collect(),
        );
        write("state.safetensors", state.clone().collect());
        write("part.safetensors", state.clone().take(1).collect());
        write(
            "more.safetensors",
            model.take(1).chain(state.clone()).collect(),
        );
        let turned = state.map(|(name, shape, data): (_, _, Vec<f32>)| {
            let place = |i: usize| i / 64 * 64 + i % 8 * 8 + i / 8 % 8;
            let data = (0..data.len()).map(|i| data[place(i)]).collect();
            (name, shape, data)
        });
        write("state.st", turned.collect());
        for format in ["i16", "i8"] {
            let options = ("--weights int8 --state", format);
            let (merged, primed) = (at("merged.kgl"), at("primed.kgl"));
            quantize(&at("merged.safetensors"), &merged, options);
            quantize(&plain, &primed, options);
            let nothing = run(&primed, "--tokens 7,8,9 --ignore-end");
            let prime = ("prime", &primed, "-o", &primed);
            let said = stdout((prime, "--state", &at("state.safetensors")));
            says(&said, "added state `start`, a tuned state");
            let expected = run(&merged, "--tokens 7,8,9 --ignore-end");
            assert_ne!(expected["logits_hashes"], nothing["logits_hashes"]);
            assert_eq!(expected["prompt_tokens"], 3);
            // The image remembers what the float model does.
            let after = |file: &str, from| logits(&at(file), ("--tokens 7,8,9 --from", from));
            let float = after("merged.safetensors", "start");
            let effect = distance(&float, &after("merged.safetensors", "empty"));
            let error = distance(&float, &after("merged.kgl", "start"));
            println!("{version} {format}: {error} of {effect}");
            assert!(
                error < 0.1 * effect,
                "{version} {format}: {error} of {effect}"
            );
            assert_same(&run(&primed, "--tokens 7,8,9 --ignore-end"), &expected);
            assert_same(
                &run(&merged, "--tokens 7,8,9 --ignore-end --from empty"),
                &nothing,
            );
            // Empty prompts begin as those of an empty text.
            assert_eq!(run(&merged, "")["prompt_tokens"], 1);
            // A prompt after it is a state with a text.
            let more = "--from start --name more --tokens 7,8";
            assert_eq!(json((prime, more, "--json"))["tokens"], 2);
            assert_same(
                &run(&primed, "--from more --tokens 9 --ignore-end"),
                &expected,
            );
            // The state of converters.
            fails((prime, "--state", &at("state.st")), 1, "--read-as");
            stdout((
                prime,
                "--read-as converted --name other --state",
                &at("state.st"),
            ));
            assert_same(
                &run(&primed, "--from other --tokens 7,8,9 --ignore-end"),
                &expected,
            );
            stdout((
                prime,
                "--read-as original --name other --state",
                &at("state.st"),
            ));
            let other = run(&primed, "--from other --tokens 7,8,9 --ignore-end");
            assert_ne!(other["logits_hashes"], expected["logits_hashes"]);
            fails(
                (prime, "--state", &at("part.safetensors")),
                1,
                "state of 1 layers",
            );
            fails(
                (prime, "--state", &at("more.safetensors")),
                1,
                "no part of a tuned state",
            );
            fails((prime, "--state", &plain), 1, "no part of a tuned state");
        }
        let float = run(&at("merged.safetensors"), "--tokens 7,8,9 --ignore-end");
        let empty = run(
            &at("merged.safetensors"),
            "--tokens 7,8,9 --ignore-end --from empty",
        );
        let plain = run(&plain, "--tokens 7,8,9 --ignore-end");
        assert_same(&empty, &plain);
        assert_ne!(float["logits_hashes"], plain["logits_hashes"]);
        says(&stdout(("inspect", &at("merged.kgl"))), "start: tuned");
        let pack = kinglet_tests::run((
            "quantize --weights int8 -o",
            &at("x.kgl"),
            &at("merged.safetensors"),
        ));
        let text = String::from_utf8(pack.stderr).expect("sentences");
        says(&text, "the state `start`");
        says(&text, "group norm epsilon 0.00064: assumed");
    }
}

/// An image with two states, and where their section begins.
fn primed(kind: Kind) -> (ImageFile, usize) {
    let file = kind.image(Layout::Rows4);
    let words = vec![5; file.image().shape().state_len()];
    let state = |name| NamedState {
        name,
        tokens: 3,
        next_token: 130,
        words: &words,
    };
    let one = ImageFile::new(&with_state(&file.image(), &state("one")).unwrap()).unwrap();
    let two = ImageFile::new(&with_state(&one.image(), &state("two")).unwrap()).unwrap();
    let at = two.image().header().states.offset as usize;
    (two, at)
}

#[test]
fn a_session_starts_from_a_state() {
    let (file, _) = primed(kinds()[0]);
    let image = file.image();
    let names: Vec<_> = image.states().map(|state| state.name).collect();
    assert_eq!(names, ["one", "two"]);
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch = vec![0; image.shape().scratch_len()];
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    assert_eq!(session.start_from("three"), Err(UnknownState));
    assert_eq!(session.start_from("two"), Ok(130));
    assert!(session.state().iter().all(|&value| value == 5));
}

#[test]
fn hostile_states_are_refused_with_their_place() {
    for kind in kinds() {
        let (file, start) = primed(kind);
        let good = file.image();
        let refused = |at: usize, bytes: &[u8]| {
            let mut changed = good.bytes().to_vec();
            changed[start + at..][..bytes.len()].copy_from_slice(bytes);
            let crc32 = image_crc32(&changed).to_le_bytes();
            changed[CRC_OFFSET..][..4].copy_from_slice(&crc32);
            let mut words = vec![0u128; changed.len().div_ceil(16)];
            bytemuck::cast_slice_mut(&mut words)[..changed.len()].copy_from_slice(&changed);
            match Image::new(&bytemuck::cast_slice(&words)[..changed.len()]) {
                Err(ImageError::States(byte)) => byte as usize - start,
                other => panic!("byte {at}: {other:?}"),
            }
        };
        // The count, names, tokens, the next token.
        assert_eq!(refused(0, &[0]), 0);
        assert_eq!(refused(0, &[3]), 0);
        assert_eq!(refused(0, &[0xff; 4]), 0);
        assert_eq!(refused(4, &[0; 3]), 4);
        assert_eq!(refused(4, &[0xff]), 4);
        assert_eq!(refused(5, b"\n"), 4);
        assert_eq!(refused(4 + 10, b"x"), 4 + 10);
        assert_eq!(refused(4 + 32, b"one"), 4 + 32);
        // Without a text there is no next token.
        assert_eq!(refused(4 + 24, &[0; 4]), 4 + 24);
        assert_eq!(refused(4 + 28, &131u32.to_le_bytes()), 4 + 24);
    }
}

#[test]
fn a_section_in_the_wrong_place_is_refused() {
    let (file, start) = primed(kinds()[0]);
    for (at, value) in [(80, start - 16), (80, 0), (84, 0), (84, 8), (88, 1)] {
        let mut bytes = file.image().bytes().to_vec();
        bytes[at..][..4].copy_from_slice(&(value as u32).to_le_bytes());
        assert!(ImageFile::new(&bytes).is_err(), "{value} at {at}");
    }
}
