//! The files in crds/ are what this build renders, and the API server takes them without a word.

use std::{fs, path::Path};

use serde_json::{Value, json};
use workspace_operator::api::crd;

use crate::ground::{Ground, Kind};

/// An object of 256 KiB is near the limits of what tools keep in annotations; half of that leaves room.
const LIMIT: usize = 128 * 1024;

#[test]
fn the_files_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let rendered = crd::all().unwrap();
    for (name, definition) in &rendered {
        let path = folder.join(format!("{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let is_current = text == crd::yaml(name, definition).unwrap();
        assert!(is_current, "{} is not what the code says: run `make crds`", path.display());
        assert!(text.len() < LIMIT, "{} has {} bytes", path.display(), text.len());
    }
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(files, rendered.len(), "crds/ holds a file that nothing renders");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_takes_an_update_without_a_warning() {
    let ground = Ground::up().await;
    for kind in Kind::ALL {
        let definition = kind.definition();
        let name = definition["metadata"]["name"].as_str().unwrap();
        let path = format!("{DEFINITIONS}/{name}?{STRICT}&force=true");
        let response = ground.patch(&path, "application/apply-patch+yaml", &definition).await;
        assert_eq!(response.status, 200, "{}", response.body);
        assert_eq!(response.headers.get("warning"), None);
    }
}

/// An update is excused what the stored definition had wrong already; a first installation is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_takes_a_first_installation_without_a_warning() {
    let ground = Ground::up().await;
    for kind in Kind::ALL {
        let mut definition = kind.definition();
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
        definition["metadata"]["name"] = json!(format!("{plural}.fresh.test"));
        definition["spec"]["group"] = json!("fresh.test");
        let response = ground.post(&format!("{DEFINITIONS}?{STRICT}"), &definition).await;
        assert_eq!(response.status, 201, "{}", response.body);
        assert_eq!(response.headers.get("warning"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schemas_are_structural_and_the_names_are_free() {
    let ground = Ground::up().await;
    for kind in Kind::ALL {
        let definition = kind.definition();
        let name = definition["metadata"]["name"].as_str().unwrap();
        let stored = ground.get(&format!("{DEFINITIONS}/{name}"), "application/json").await.body;
        let status = |type_: &str| -> Value {
            let mut conditions = stored["status"]["conditions"].as_array().unwrap().iter();
            conditions
                .find(|condition| condition["type"] == type_)
                .map_or(Value::Null, |found| found["status"].clone())
        };
        assert_eq!(status("NamesAccepted"), "True");
        assert_eq!(status("Established"), "True");
        assert_ne!(status("NonStructuralSchema"), "True");
    }
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const STRICT: &str = "dryRun=All&fieldValidation=Strict&fieldManager=test-cluster";
