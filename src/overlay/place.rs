//! Which lists of a PodSpec are merged by a key: `patchMergeKey` of core/v1, by the place the list stands in.

use serde_json::{Map, Value};

/// What kind of object is looked at. The same field name means another list elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Pod,
    Container,
    /// Any other object: none of its lists is merged by a key.
    Other,
}

/// A list whose items are found by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The field that tells its items apart.
    pub key: &'static str,
    /// What its items are.
    pub items: Place,
}

const POD: &[(&str, Keyed)] = &[
    ("containers", Keyed { key: "name", items: Place::Container }),
    ("initContainers", Keyed { key: "name", items: Place::Container }),
    ("ephemeralContainers", Keyed { key: "name", items: Place::Container }),
    ("volumes", Keyed { key: "name", items: Place::Other }),
    ("imagePullSecrets", Keyed { key: "name", items: Place::Other }),
    ("hostAliases", Keyed { key: "ip", items: Place::Other }),
    ("topologySpreadConstraints", Keyed { key: "topologyKey", items: Place::Other }),
    ("schedulingGates", Keyed { key: "name", items: Place::Other }),
    ("resourceClaims", Keyed { key: "name", items: Place::Other }),
    ("evictionResponders", Keyed { key: "name", items: Place::Other }),
];

const CONTAINER: &[(&str, Keyed)] = &[
    ("env", Keyed { key: "name", items: Place::Other }),
    ("ports", Keyed { key: "containerPort", items: Place::Other }),
    ("volumeMounts", Keyed { key: "mountPath", items: Place::Other }),
    ("volumeDevices", Keyed { key: "devicePath", items: Place::Other }),
];

impl Place {
    /// The list `field` of an object at this place, if it is merged by a key.
    pub fn list(self, field: &str) -> Option<Keyed> {
        let lists = match self {
            Self::Pod => POD,
            Self::Container => CONTAINER,
            Self::Other => return None,
        };
        lists.iter().find(|(name, _)| *name == field).map(|(_, keyed)| *keyed)
    }
}

/// A value within an overlay, and where.
#[derive(Clone)]
pub struct Node<'a> {
    /// The path below `podTemplate`.
    pub path: String,
    pub value: &'a Value,
    /// What it is, where it is an object.
    pub place: Place,
    /// How it is merged, where it is a list.
    pub keyed: Option<Keyed>,
}

impl<'a> Node<'a> {
    /// The overlay as a whole.
    pub fn root(overlay: &'a Value) -> Self {
        Self { path: "spec".to_owned(), value: overlay, place: Place::Pod, keyed: None }
    }

    /// The fields of an object.
    pub fn fields(&self) -> impl Iterator<Item = (&'a String, Node<'a>)> {
        let (path, place) = (self.path.clone(), self.place);
        self.value.as_object().into_iter().flatten().map(move |(name, value)| {
            let node = Node {
                path: format!("{path}.{name}"),
                value,
                place: Place::Other,
                keyed: if value.is_array() { place.list(name) } else { None },
            };
            (name, node)
        })
    }

    /// The items of a list, each named by its key, or by its number where it has none.
    pub fn items(&self) -> impl Iterator<Item = Node<'a>> {
        let (path, keyed) = (self.path.clone(), self.keyed);
        self.value.as_array().into_iter().flatten().enumerate().map(move |(index, value)| {
            let key = keyed.and_then(|keyed| key(value, keyed));
            Node {
                path: format!("{path}[{}]", key.unwrap_or_else(|| index.to_string())),
                value,
                place: keyed.map_or(Place::Other, |keyed| keyed.items),
                keyed: None,
            }
        })
    }

    /// The field `name` of an object.
    pub fn field(&self, name: &str) -> Option<Node<'a>> {
        self.fields().find(|(field, _)| *field == name).map(|(_, node)| node)
    }

    /// Everything directly below it.
    pub fn below(&self) -> impl Iterator<Item = Node<'a>> {
        self.fields().map(|(_, node)| node).chain(self.items())
    }

    /// The fields, if it is an object.
    pub fn object(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }
}

/// The value an item of a keyed list is found by.
pub fn key(item: &Value, keyed: Keyed) -> Option<String> {
    match item.get(keyed.key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
