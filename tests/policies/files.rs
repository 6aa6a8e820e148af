//! The policies as their files have them.

use std::{fs, path::Path};

use serde_json::Value;

pub const CLASS_USE: &str = "class-use.yaml";
pub const FORBIDDEN_ENV: &str = "forbidden-env.yaml";

pub const POLICY: &str = "ValidatingAdmissionPolicy";
pub const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// The text of a file.
pub fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policies").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The objects of a text, one a document.
pub fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn all() -> Vec<Value> {
    [CLASS_USE, FORBIDDEN_ENV].map(|file| objects(&text(file))).concat()
}

#[test]
fn every_file_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policies");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, [CLASS_USE, FORBIDDEN_ENV]);
}

#[test]
fn every_policy_is_bound_and_denies_where_it_fails() {
    let all = all();
    let of = |kind: &str| all.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
    let (policies, bindings) = (of(POLICY), of(BINDING));
    assert_eq!(policies.len() + bindings.len(), all.len());
    assert_eq!(policies.len(), bindings.len());
    for policy in policies {
        let name = &policy["metadata"]["name"];
        assert!(name.as_str().unwrap().starts_with("workspaces.dev-"), "{name}");
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{name}");
        let binding = bindings.iter().find(|binding| binding["spec"]["policyName"] == *name);
        let binding = binding.unwrap_or_else(|| panic!("{name} is not bound"));
        assert_eq!(binding["spec"]["validationActions"], serde_json::json!(["Deny"]), "{name}");
        let (wants, has) = (policy["spec"]["paramKind"].is_object(), binding["spec"]["paramRef"].is_object());
        assert_eq!(wants, has, "{name} and its binding disagree about a parameter");
    }
}

#[test]
fn no_policy_looks_at_an_unchanged_spec() {
    for policy in all().iter().filter(|object| object["kind"] == POLICY) {
        let conditions = policy["spec"]["matchConditions"].as_array().unwrap();
        let first = &conditions[0];
        assert_eq!(first["expression"], "oldObject == null || object.spec != oldObject.spec", "{policy}");
    }
}
