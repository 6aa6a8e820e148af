//! The two kinds whose properties are changed.

use serde_json::{Value, json};
use test_world::IMAGE;
use workspace_operator::api::{crd, names};

use crate::schema::{self, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Workspace,
    Class,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Workspace, Self::Class];

    /// The schema of its objects.
    pub fn schema(self) -> Value {
        let plural = match self {
            Self::Workspace => "workspaces",
            Self::Class => "workspaceclasses",
        };
        let name = format!("{plural}.{}", names::GROUP);
        let (_, mut definition) = crd::all().unwrap().into_iter().find(|(found, _)| *found == name).unwrap();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
    }

    /// The spec that every change starts from.
    pub fn base(self) -> Value {
        match self {
            Self::Workspace => json!({"image": IMAGE}),
            Self::Class => json!({"defaults": {"image": IMAGE}}),
        }
    }

    /// The base with the fields of `fragment`.
    pub fn with(self, base: &Value, fragment: &Value) -> Value {
        let mut spec = base.clone();
        for (name, value) in fragment.as_object().into_iter().flatten() {
            match (self, name.as_str(), value.as_object()) {
                (Self::Class, "defaults", Some(defaults)) => {
                    for (name, value) in defaults {
                        spec["defaults"][name] = value.clone();
                    }
                }
                _ => spec[name] = value.clone(),
            }
        }
        spec
    }
}

/// Every property below the spec.
pub fn properties(root: &Value) -> Vec<(Place, &Value)> {
    schema::walk_spec(root).into_iter().filter(|(place, _)| place.to_string() != "spec").collect()
}
