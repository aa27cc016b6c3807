//! A sensor's samples as a language: the machine scores them as the workstation
//! does, and finds what is not normal.

use kinglet_emulated::{fails, json, run};
use kinglet_targets::DEFAULT_MACHINE;
use kinglet_tests::folder;
use serde_json::Value;
use std::fs;

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn the_machine_scores_as_the_workstation_and_finds_faults() {
    for machine in [DEFAULT_MACHINE.name, "microbit"] {
        let report = json(("sensor --run --json --machine", machine));
        let windows = report["emulated"].as_array().unwrap();
        assert_eq!(windows.len(), 384);
        assert_eq!(report["emulated"], report["workstation"], "{machine}");
        // Alarms are those of the threshold.
        let threshold = number(&report["threshold"]);
        for (bits, alarm) in windows.iter().zip(report["alarms"].as_array().unwrap()) {
            let score = number(bits) / 65_536.0;
            assert_eq!(*alarm, Value::from(score > threshold), "{machine}");
        }
        let better = number(&report["auc"]) - number(&report["linear_auc"]);
        assert!(better > 0.03, "{machine}: {better}");
        for fault in report["faults"].as_array().unwrap() {
            let (found, windows) = (number(&fault["found"]), number(&fault["windows"]));
            assert!(windows >= 20.0 && found >= 0.75 * windows, "{fault}");
        }
        // One in a hundred is above the threshold where it was chosen.
        let false_alarms = number(&report["false_alarms"]) / number(&report["normal"]);
        assert!(false_alarms < 0.05, "{machine}: {false_alarms}");
    }
}

#[test]
fn streams_are_the_same_everywhere() {
    let folder = folder();
    let streams = |seed: &str| {
        let output = run(("sensor -o", folder.path(), ["--seed", seed]));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        [
            "train.bin",
            "validation.bin",
            "anomalous.bin",
            "anomalous.labels",
        ]
        .map(|name| {
            let bytes = fs::read(folder.path().join(name)).expect(name);
            kinglet::hash::fnv1a(bytes.into_iter())
        })
    };
    let first = streams("1");
    assert_eq!(
        first.map(|hash| format!("{hash:016x}")),
        [
            "b5fabff817ae3e5b",
            "d51e7d7af9069379",
            "69d47c8c98c09609",
            "f67d4ccf2d9ed731",
        ]
    );
    assert!(streams("2")
        .iter()
        .zip(first)
        .all(|(other, hash)| *other != hash));
}

#[test]
fn wrong_arguments_are_bad_use() {
    for args in [
        "sensor",
        "sensor --run --machine abacus",
        "sensor -o x --json",
        "sensor --run --seed -1",
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert!(output.stdout.is_empty());
    }
    fails("sensor -o /dev/null/x", 1, "cannot make the directory");
}
