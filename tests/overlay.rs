//! Merges real overlays into a real Pod and compares with what `kubectl patch --type=strategic` makes of it.

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use workspace_operator::overlay;

type TestResult = Result<(), Box<dyn Error>>;

/// Lists that kubectl merges by a key, with it.
const KEYED: &[(&str, &str)] = &[
    ("containers", "name"),
    ("env", "name"),
    ("hostAliases", "ip"),
    ("initContainers", "name"),
    ("ports", "containerPort"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

#[test]
fn an_overlay_makes_the_pod_that_kubectl_makes() -> TestResult {
    let base = base()?;
    for (file, overlay) in overlays()? {
        assert_eq!(in_order(merged(&base, &overlay)), in_order(patched(&base, &overlay)?), "{file}");
    }
    Ok(())
}

#[test]
fn overlays_in_a_row_make_the_pod_that_kubectl_makes() -> TestResult {
    let (mut ours, mut theirs) = (base()?, base()?);
    for (file, overlay) in overlays()? {
        (ours, theirs) = (merged(&ours, &overlay), patched(&theirs, &overlay)?);
        assert_eq!(in_order(ours.clone()), in_order(theirs.clone()), "{file}");
    }
    Ok(())
}

#[test]
fn an_overlay_merged_again_changes_nothing() -> TestResult {
    let base = base()?;
    for (file, overlay) in overlays()? {
        let once = merged(&base, &overlay);
        assert_eq!(merged(&once, &overlay), once, "{file}");
    }
    Ok(())
}

#[test]
fn each_of_them_is_accepted() -> TestResult {
    let overlays = overlays()?;
    assert!(overlays.len() >= 12, "{} overlays", overlays.len());
    for (file, overlay) in overlays {
        assert_eq!(overlay::check(&overlay["spec"]), Ok(()), "{file}");
        assert_eq!(overlay::check_mounts(&overlay["spec"], "/workspace"), Ok(()), "{file}");
    }
    Ok(())
}

/// Where we differ from kubectl on purpose: docs/decisions/0010-own-strategic-merge.md.
#[test]
fn what_the_class_brought_stays_before_what_the_workspace_adds() -> TestResult {
    let overlay = json!({"spec": {
        "initContainers": [{"name": "own"}],
        "containers": [{"name": "own"}, {"name": "main", "tty": true}],
    }});
    let names = |pod: &Value, list: &str| {
        let items = pod["spec"][list].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (merged(&base()?, &overlay), patched(&base()?, &overlay)?);
    assert_eq!(names(&ours, "containers"), ["main", "own"]);
    assert_eq!(names(&ours, "initContainers"), ["prepare", "own"]);
    assert_eq!(names(&theirs, "containers"), ["own", "main"]);
    Ok(())
}

fn merged(pod: &Value, overlay: &Value) -> Value {
    let mut pod = pod.clone();
    overlay::merge(&mut pod["spec"], &overlay["spec"]);
    pod
}

/// What kubectl makes of it. It needs no server for that.
fn patched(pod: &Value, overlay: &Value) -> Result<Value, Box<dyn Error>> {
    let mut kubectl = Command::new("kubectl")
        .args(["patch", "--local", "--type=strategic", "--output=json", "--filename=-"])
        .args(["--patch", &overlay.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("kubectl: {error}"))?;
    kubectl.stdin.take().ok_or("kubectl has no standard input")?.write_all(pod.to_string().as_bytes())?;
    let output = kubectl.wait_with_output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn base() -> Result<Value, Box<dyn Error>> {
    read(&folder().join("base.yaml"))
}

/// Every overlay by its file's name, in the order of their numbers.
fn overlays() -> Result<Vec<(String, Value)>, Box<dyn Error>> {
    let mut overlays = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "base.yaml" {
            overlays.push((name, read(&path)?));
        }
    }
    overlays.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(overlays)
}

fn read(path: &Path) -> Result<Value, Box<dyn Error>> {
    Ok(serde_saphyr::from_str(&fs::read_to_string(path)?)?)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overlays")
}

/// Sorts what is found by a key: there kubectl puts the items of the patch first.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let mut value = in_order(value);
                if let (Some((_, key)), Value::Array(items)) =
                    (KEYED.iter().find(|(list, _)| *list == name), &mut value)
                {
                    items.sort_by_key(|item| item[key].to_string());
                }
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        scalar => scalar,
    }
}
