//! The inputs that are kept: one of each kind, and everything that ever broke a property.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::PathBuf};

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_kept_input_has_its_properties() {
    for (target, check) in test_fuzz::CHECKS {
        let mut count = 0;
        for entry in fs::read_dir(corpus().join(target)).unwrap() {
            let path = entry.unwrap().path();
            // The test's output names the input that breaks a property.
            eprintln!("{}", path.display());
            check(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "nothing is kept of {target}");
    }
}

#[test]
fn every_folder_of_inputs_has_a_target() {
    let folders =
        fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets = test_fuzz::CHECKS.iter().map(|(target, _)| (*target).to_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), targets.collect());
}
