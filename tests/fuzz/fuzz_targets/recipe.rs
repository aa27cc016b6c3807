//! Recipes: settings that are checked, or an error in one line.
#![no_main]

mod common;

use kinglet_host::train::settings::Settings;
use kinglet_targets::located;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match toml::from_str::<Settings>(text) {
        Ok(settings) => drop(settings.check().map_err(common::is_sentence)),
        Err(error) => {
            let message = located(text, &error);
            assert!(message.len() < 1000 && !message.contains(char::is_control));
        }
    }
});
