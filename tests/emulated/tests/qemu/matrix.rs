//! Every machine, version, format of the weights and of the state, and way of
//! running: the tokens and the bits of the logits are the workstation's.

use kinglet::shape::Layout;
use kinglet_protocol::{Name, Request};
use kinglet_targets::{Machine, MACHINES};
use kinglet_tests::models::{kinds, Kind};
use kinglet_tests::{computed, file, folder, stdout};
use kinglet_workshop::emulator::{Answer, Emulator};
use kinglet_workshop::firmware;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// The image has a state after the first part.
const PROMPT: [&str; 2] = ["A king", "let"];
const TOKENS: u32 = 4;

/// Weights of a slice: some rows of a matrix.
const SLICE: u32 = 300;

/// All ways of running, each with its prompt.
fn ways(machine: &Machine) -> Vec<(Request, Vec<u8>)> {
    let mut ways = Vec::new();
    for way in 0..16 {
        let [primed, in_blocks, in_slices, resumed] = [1, 2, 4, 8].map(|bit| way & bit != 0);
        if resumed && machine.spare.bytes == 0 {
            // There is no room for snapshots.
            continue;
        }
        let prompt = PROMPT[usize::from(primed)..].concat().into_bytes();
        let request = Request {
            prompt_bytes: prompt.len() as u32,
            from: Name::new(if primed { "start" } else { "empty" }).expect("it is short"),
            tokens: TOKENS,
            every_logits: !primed,
            in_blocks,
            slice_weights: if in_slices { SLICE } else { 0 },
            resumed,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
        };
        ways.push((request, prompt));
    }
    ways
}

/// What the workstation generates in whole steps, from an empty text.
fn expected(image: &Path) -> Value {
    let (prompt, tokens) = (PROMPT.concat(), TOKENS.to_string());
    let text = ["--prompt", &prompt, "-n", &tokens];
    let options = "--from empty --ignore-end --every-logits --json";
    computed(("run", image, text, options))
}

fn agrees(answer: &Answer, request: &Request, expected: &Value) {
    let hashes = |hashes: &mut dyn Iterator<Item = u64>| {
        Value::from_iter(hashes.map(|hash| format!("{hash:016x}")))
    };
    let tokens = Value::from_iter(answer.tokens.iter().map(|token| token.id));
    assert_eq!(tokens, expected["tokens"], "{request:?}");
    let found = hashes(&mut answer.tokens.iter().map(|token| token.hash));
    assert_eq!(found, expected["logits_hashes"], "{request:?}");
    let of_prompt = match request.every_logits {
        true => expected["prompt_logits_hashes"].clone(),
        false => json!([]),
    };
    let found = hashes(&mut answer.prompt_hashes.iter().copied());
    assert_eq!(found, of_prompt, "{request:?}");
}

/// A model of each kind for the cores of a layout, with a state after the first part of the
/// prompt; and what all of them generate.
fn images(folder: &Path, layout: Layout) -> Vec<(Kind, PathBuf, Value)> {
    let image = |(index, kind): (usize, Kind)| {
        let name = format!("{}-{index}.kgl", layout.name());
        let image = file(folder, &name, kind.image(layout).image().bytes());
        let generated = expected(&image);
        stdout(("prime", &image, "-o", &image, ["--prompt", PROMPT[0]]));
        (kind, image, generated)
    };
    kinds().into_iter().enumerate().map(image).collect()
}

#[test]
fn every_machine_computes_what_the_workstation_computes_in_every_way() {
    let folder = folder();
    let layouts = Layout::ALL.map(|layout| (layout, images(folder.path(), layout)));
    let (_, known) = &layouts[0];
    for (layout, images) in &layouts {
        for ((kind, _, generated), (_, _, expected)) in images.iter().zip(known) {
            assert_eq!(generated, expected, "{} {kind:?}", layout.name());
        }
    }
    for machine in MACHINES {
        let of_machine = layouts
            .iter()
            .find(|(l, _)| l.name() == machine.core.layout);
        let (_, images) = of_machine.expect("a layout");
        agrees_in_every_way(machine, images);
    }
}

/// Linking takes longer than running. Where there is room QEMU loads the images, and only
/// the first is linked in, too. Where there is none, every fifth is: all versions and all
/// formats are among them, and another machine with that core runs the others.
fn agrees_in_every_way(machine: &'static Machine, images: &[(Kind, PathBuf, Value)]) {
    let ways = ways(machine);
    let in_every_way = |elf: PathBuf, loaded: Vec<PathBuf>, expected: &Value| {
        let emulator = Emulator {
            machine,
            elf,
            images: loaded,
        };
        let answers = emulator.ask_in_turn(&ways, &mut |_| Ok(()));
        for (answer, (request, _)) in answers.expect("answers").iter().zip(&ways) {
            agrees(answer, request, expected);
        }
    };
    let has_room = machine.spare.bytes > 0;
    let linked = images
        .iter()
        .step_by(if has_room { images.len() } else { 5 });
    for (kind, image, expected) in linked.clone() {
        println!("{} {kind:?}, linked", machine.name);
        let elf = firmware::build(machine, Some(image));
        in_every_way(elf.expect("it fits"), Vec::new(), expected);
    }
    if !has_room {
        for (kind, ..) in images {
            let is_linked = |same: &dyn Fn(&Kind) -> bool| linked.clone().any(|(k, ..)| same(k));
            assert!(is_linked(&|k| k.version == kind.version), "{kind:?}");
            assert!(is_linked(&|k| k.weights == kind.weights), "{kind:?}");
            assert!(is_linked(&|k| k.state == kind.state), "{kind:?}");
        }
        return;
    }
    let elf = firmware::build(machine, None).expect("it builds");
    for (kind, image, expected) in images {
        println!("{} {kind:?}", machine.name);
        in_every_way(elf.clone(), vec![image.clone()], expected);
    }
}
