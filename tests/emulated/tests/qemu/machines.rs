//! All machines: their kernels pass the self-test and are counted.

use kinglet::shape::Bits;
use kinglet_emulated::{fails, json, run};
use kinglet_targets::{Core, Machine, DEFAULT_MACHINE, MACHINES};
use kinglet_tests::{demo_image, kept_folder};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> PathBuf {
    kept_folder("machines")
}

#[test]
fn the_kernels_of_every_machine_pass_and_are_counted() {
    let results = json("bench --kernels-only --json");
    let list = |key: &str| results[key].as_array().cloned().unwrap_or_default();
    for machine in MACHINES {
        let (has_room, machine) = (machine.spare.bytes > 0, machine.name);
        let of_machine = |entry: &&Value| entry["machine"] == machine;
        let checks = list("checks");
        let checks: Vec<_> = checks.iter().filter(of_machine).collect();
        let formats = Bits::ALL.len();
        // That of a state's rows needs as much RAM as a matrix that is not the smallest.
        let expected = 3 * formats + 5 + usize::from(has_room);
        assert_eq!(checks.len(), expected, "{machine}");
        for check in checks {
            assert_eq!(check["wrong"], 0, "{check}");
            assert!(check["cases"].as_u64() >= Some(6), "{check}");
        }
        let kernels = list("kernels");
        let shapes = kernels.iter().filter(of_machine).count();
        // Where RAM is short, only the smallest matrix fits. One format has vectors of 16 bits, too.
        let shapes_of_each = if has_room { 6 } else { 1 };
        assert_eq!(shapes, shapes_of_each * (formats + 1), "{machine}");
    }
    the_same_code_counts_the_same(&list("kernels"));
    a_better_past_is_noticed(&results);
}

/// On a machine of each port whose routines are others then.
#[test]
fn the_kernels_pass_built_for_size() {
    let machines = ["mps2-an386", "mps2-an385", "mps2-an385-m0", "virt-rv32"];
    let machines = machines.map(|machine| ["--machine", machine]);
    let results = json(("bench --kernels-only --small --json", machines.concat()));
    let checks = results["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), machines.len() * (3 * Bits::ALL.len() + 6));
    assert!(checks.iter().all(|check| check["wrong"] == 0), "{checks:?}");
}

/// Machines that run the same code, with timers of different kinds or rates.
fn the_same_code_counts_the_same(kernels: &[Value]) {
    let count = |machine: &Machine, weights: &str| {
        let kernel = kernels
            .iter()
            .find(|k| k["machine"] == machine.name && k["weights"] == weights && k["cols"] == 64);
        let count = kernel.and_then(|k| k["instructions_per_mac"].as_f64());
        count.expect(machine.name)
    };
    let mut compared = 0;
    for machine in MACHINES {
        let first = Machine::of(machine.core.first_of_code()).expect("a machine");
        compared += usize::from(machine != first);
        for weights in Bits::ALL.map(Bits::name) {
            let (found, expected) = (count(machine, weights), count(first, weights));
            let off = found / expected - 1.0;
            assert!(off.abs() < 0.002, "{}: {found} {expected}", machine.name);
        }
    }
    // The small one with a Cortex-M0, and that with a Cortex-M7.
    assert_eq!(compared, 2);
}

/// `--compare` finds figures that were better, and only those.
fn a_better_past_is_noticed(results: &Value) {
    let compare = |results: &Value| {
        let path = folder().join("before.json");
        std::fs::write(&path, results.to_string()).unwrap();
        let machine = ["--machine", DEFAULT_MACHINE.name];
        run(("bench --kernels-only --compare", &path, machine))
    };
    assert_eq!(compare(results).status.code(), Some(0));
    let mut better = results.clone();
    let count = &mut better["kernels"][0]["instructions_per_mac"];
    *count = Value::from(count.as_f64().unwrap() * 0.99);
    let output = compare(&better);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.matches("worse: ").count(), 1, "{errors}");
}

/// With and without the DSP extension. Every instruction of a token belongs to a
/// part, and the firmware's own count is their sum.
#[test]
fn the_parts_of_a_token_are_the_whole() {
    for core in ["m4", "m3"] {
        let machine = Core::named(core).and_then(Machine::of);
        let machine = machine.expect("a machine").name;
        let results = json(("bench --json --machine", machine));
        let tokens = results["tokens"].as_array().expect("a list");
        // Two of RWKV-4 with two widths of weights, three others with two states.
        assert_eq!(tokens.len(), 10, "{machine}");
        for token in tokens {
            let parts = token["parts"].as_object().expect("parts");
            let counts: Vec<u64> = parts.values().filter_map(Value::as_u64).collect();
            assert_eq!(counts.len(), 10, "{token}");
            assert!(counts.iter().all(|&count| count > 0), "{token}");
            let sum: u64 = counts.iter().sum();
            assert_eq!(Some(sum), token["instructions_per_token"].as_u64());
            // The code between the parts is no hiding place for work.
            let control = token["parts"]["control"].as_u64().unwrap_or(sum);
            assert!(control * 25 < sum, "{token}");
        }
        for pair in tokens[..4].chunks_exact(2) {
            assert_eq!(pair[0]["model"], pair[1]["model"]);
            assert_ne!(pair[0]["weights"], pair[1]["weights"]);
            for part in ["norms", "token_shift", "functions"] {
                let count = |i: usize| pair[i]["parts"][part].as_f64().unwrap();
                let ratio = count(0) / count(1);
                assert!((ratio - 1.0).abs() < 0.01, "{machine} {part}: {ratio}");
            }
        }
    }
}

#[test]
fn an_image_for_other_cores_is_refused_with_advice() {
    let image = demo_image(&folder(), "int4");
    let others = |machine: &&Machine| machine.core.layout != DEFAULT_MACHINE.core.layout;
    for machine in MACHINES.iter().filter(others) {
        let refused = |load: &str, said: &str| {
            let args = ("qemu --prompt a --machine", machine.name, load);
            fails((args, "--image", &image), 1, said);
        };
        let core = machine.core.name;
        refused("", &format!("(--target {core})"));
        let has_room = machine.spare.bytes > 0;
        refused("--load", if has_room { "pack" } else { "no spare RAM" });
    }
}
