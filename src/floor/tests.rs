use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

#[path = "../../tests/floor/cases.rs"]
mod cases;

const PROFILES: [PodSecurity; 2] = [PodSecurity::Baseline, PodSecurity::Restricted];

fn floor(profile: PodSecurity, user_namespace: bool) -> Floor {
    Floor { profile, user_namespace, token: Token::Refused }
}

fn spec(value: &Value) -> PodSpec {
    serde_json::from_value(value.clone()).unwrap()
}

fn filled(floor: Floor, value: &Value) -> PodSpec {
    let mut spec = spec(value);
    floor.fill(&mut spec);
    spec
}

fn field_below(floor: Floor, case: &cases::Case) -> Option<String> {
    let spec = if case.is_filled { filled(floor, &case.spec) } else { spec(&case.spec) };
    floor.check(&spec).err().map(|below| below.field)
}

#[test]
fn each_case_is_let_through_or_refused_by_its_field() {
    for case in cases::all() {
        for (profile, expected) in PROFILES.into_iter().zip([&case.baseline, &case.restricted]) {
            let found = field_below(floor(profile, case.user_namespace), &case);
            assert_eq!(found, *expected, "{profile:?}: {case:#?}");
        }
    }
}

#[test]
fn no_case_stands_there_twice() {
    let mut seen = BTreeSet::new();
    for case in cases::all() {
        assert!(seen.insert((case.spec.to_string(), case.user_namespace, case.is_filled)), "{case:#?}");
    }
}

/// Else the API server would not be held to it, and nobody would notice.
#[test]
fn a_case_that_the_api_server_has_no_say_in_is_refused_here() {
    for case in cases::all().iter().filter(|case| case.rule != cases::Rule::Standard) {
        assert!(case.baseline.is_some() || case.restricted.is_some(), "{case:#?}");
    }
}

#[test]
fn a_refusal_names_field_value_and_bound() {
    for (profile, patch, words) in [
        (
            PodSecurity::Baseline,
            json!({"containers": [{"name": "main", "securityContext": {"privileged": true}}]}),
            "containers[main].securityContext.privileged is true; Baseline allows only false",
        ),
        (
            PodSecurity::Restricted,
            json!({"containers": [{"name": "main", "securityContext": {"capabilities": {"add": ["CHOWN"]}}}]}),
            "containers[main].securityContext.capabilities.add is CHOWN; Restricted allows only NET_BIND_SERVICE",
        ),
        (
            PodSecurity::Restricted,
            json!({"containers": [{"name": "main", "securityContext": {"capabilities": {"drop": []}}}]}),
            "containers[main].securityContext.capabilities.drop is []; Restricted allows only a list with ALL",
        ),
        (
            PodSecurity::Restricted,
            json!({"containers": [], "volumes": [{"name": "data", "nfs": {"server": "a", "path": "/"}}]}),
            "volumes[data] is nfs; Restricted allows only configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret",
        ),
        (
            PodSecurity::Baseline,
            json!({"containers": [], "volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "a"}}]}}]}),
            "volumes[a].projected.sources[0].serviceAccountToken is a token for the API server; no credential of the service account is allowed",
        ),
    ] {
        let floor = floor(profile, false);
        assert_eq!(floor.check(&filled(floor, &patch)).unwrap_err().to_string(), words);
    }
}

#[test]
fn restricted_gives_a_user_and_a_group_that_may_write_to_the_volume() {
    let spec = filled(floor(PodSecurity::Restricted, false), &json!({"containers": [{"name": "main"}]}));
    assert_eq!(
        serde_json::to_value(spec).unwrap(),
        json!({
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}
            }}],
            "securityContext": {
                "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch",
                "runAsGroup": 1000, "runAsNonRoot": true, "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    );
}

#[test]
fn in_a_user_namespace_restricted_gives_no_user() {
    let spec = filled(floor(PodSecurity::Restricted, true), &json!({"containers": [{"name": "main"}]}));
    assert_eq!(
        serde_json::to_value(spec).unwrap(),
        json!({
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}
            }}],
            "hostUsers": false,
            "securityContext": {
                "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    );
}

#[test]
fn baseline_fills_in_nothing_but_token_and_user_namespace() {
    for (user_namespace, expected) in [
        (false, json!({"automountServiceAccountToken": false, "containers": [{"name": "main"}]})),
        (
            true,
            json!({"automountServiceAccountToken": false, "containers": [{"name": "main"}], "hostUsers": false}),
        ),
    ] {
        let spec =
            filled(floor(PodSecurity::Baseline, user_namespace), &json!({"containers": [{"name": "main"}]}));
        assert_eq!(serde_json::to_value(spec).unwrap(), expected);
    }
}

#[test]
fn a_user_that_somebody_chose_gets_no_group() {
    let chosen = json!({"containers": [{"name": "main"}], "securityContext": {"runAsUser": 7}});
    let context = filled(floor(PodSecurity::Restricted, false), &chosen).security_context.unwrap();
    assert_eq!((context.run_as_user, context.run_as_group, context.fs_group), (Some(7), None, Some(1000)));
}

#[test]
fn a_token_is_for_baseline_to_allow_and_never_for_restricted() {
    let asked = json!({"automountServiceAccountToken": true, "containers": [{"name": "main"}]});
    for (profile, token, is_fine) in [
        (PodSecurity::Baseline, Token::Allowed, true),
        (PodSecurity::Baseline, Token::Refused, false),
        (PodSecurity::Restricted, Token::Allowed, false),
        (PodSecurity::Restricted, Token::Refused, false),
    ] {
        let floor = Floor { profile, user_namespace: false, token };
        assert_eq!(floor.check(&filled(floor, &asked)).is_ok(), is_fine, "{profile:?} {token:?}");
    }
}

#[test]
fn the_old_app_armor_annotations_are_held_to_the_floor() {
    let key = "container.apparmor.security.beta.kubernetes.io/main";
    for (key, value, is_fine) in [
        (key, "runtime/default", true),
        (key, "localhost/a", true),
        (key, "", true),
        (key, "unconfined", false),
        ("a.example/note", "unconfined", true),
    ] {
        let annotations = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        for profile in PROFILES {
            let found = floor(profile, false).check_annotations(&annotations);
            assert_eq!(found.is_ok(), is_fine, "{key} {value}");
        }
    }
}

fn any_floor() -> impl Strategy<Value = Floor> {
    (select(&PROFILES), any::<bool>(), select(vec![Token::Refused, Token::Allowed]))
        .prop_map(|(profile, user_namespace, token)| Floor { profile, user_namespace, token })
}

/// Objects with any of these fields, each with any of its values.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    fields.into_iter().fold(Just(json!({})).boxed(), |object, (name, value)| {
        (object, option::of(value))
            .prop_map(move |(mut object, value)| {
                if let Some(value) = value {
                    object[name] = value;
                }
                object
            })
            .boxed()
    })
}

fn one_of(values: &[Value]) -> BoxedStrategy<Value> {
    select(values.to_vec()).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    one_of(&[json!(false), json!(true)])
}

fn type_of(types: &[&str]) -> BoxedStrategy<Value> {
    one_of(&types.iter().map(|type_| json!({"type": type_})).collect::<Vec<_>>())
}

fn common() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("runAsNonRoot", flag()),
        ("runAsUser", one_of(&[json!(0), json!(5)])),
        ("runAsGroup", one_of(&[json!(0), json!(5)])),
        ("seccompProfile", type_of(&["RuntimeDefault", "Localhost", "Unconfined"])),
        ("seLinuxOptions", type_of(&["container_t", "spc_t"])),
    ]
}

fn any_container(name: &'static str) -> BoxedStrategy<Value> {
    let capabilities = object(vec![
        ("add", one_of(&[json!([]), json!(["NET_BIND_SERVICE"]), json!(["CHOWN"]), json!(["NET_RAW"])])),
        ("drop", one_of(&[json!([]), json!(["ALL"]), json!(["CHOWN"])])),
    ]);
    let mut fields = common();
    fields.extend([
        ("privileged", flag()),
        ("allowPrivilegeEscalation", flag()),
        ("capabilities", capabilities),
        ("procMount", one_of(&[json!("Default"), json!("Unmasked")])),
    ]);
    object(vec![("securityContext", object(fields)), ("image", one_of(&[json!("a")]))])
        .prop_map(move |mut container| {
            container["name"] = json!(name);
            container
        })
        .boxed()
}

fn any_pod() -> impl Strategy<Value = Value> {
    let mut context = common();
    context.extend([
        ("fsGroup", one_of(&[json!(0), json!(5)])),
        ("fsGroupChangePolicy", one_of(&[json!("Always")])),
        ("sysctls", one_of(&[json!([{"name": "kernel.msgmax", "value": "1"}])])),
    ]);
    let volume = one_of(&[json!({"name": "v"}), json!({"name": "v", "hostPath": {"path": "/"}})]);
    object(vec![
        ("hostNetwork", flag()),
        ("hostUsers", flag()),
        ("automountServiceAccountToken", flag()),
        ("securityContext", object(context)),
        ("containers", any_container("main").prop_map(|main| json!([main])).boxed()),
        ("initContainers", vec(any_container("init"), 0..2).prop_map(Value::from).boxed()),
        ("volumes", vec(volume, 0..2).prop_map(Value::from).boxed()),
        ("os", one_of(&[json!({"name": "linux"}), json!({"name": "windows"})])),
    ])
    .prop_map(|mut pod| {
        pod.as_object_mut().unwrap().entry("containers").or_insert_with(|| json!([]));
        pod
    })
}

/// A container without a word on security.
fn plain_container() -> impl Strategy<Value = Value> {
    ("[a-z]{1,8}", option::of("[a-z/.:]{1,20}"), vec("[a-z -]{0,8}", 0..3), vec(1..65536_i32, 0..3)).prop_map(
        |(name, image, words, ports)| {
            json!({
                "name": name, "image": image, "command": words,
                "env": words.iter().map(|word| json!({"name": "A", "value": word})).collect::<Vec<_>>(),
                "ports": ports.iter().map(|port| json!({"containerPort": port})).collect::<Vec<_>>(),
                "resources": {"requests": {"cpu": "1"}},
            })
        },
    )
}

/// Whether all that `before` says stands in `after` too.
fn is_kept(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().all(|(name, value)| after.get(name).is_some_and(|after| is_kept(value, after)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| is_kept(before, after))
        }
        _ => before == after,
    }
}

proptest! {
    #[test]
    fn who_says_nothing_of_security_stands_on_every_floor(
        floor in any_floor(),
        containers in vec(plain_container(), 1..3),
        init in vec(plain_container(), 0..3),
    ) {
        let spec = filled(floor, &json!({"containers": containers, "initContainers": init}));
        prop_assert_eq!(floor.check(&spec), Ok(()));
    }

    #[test]
    fn filling_in_changes_nothing_that_was_set(floor in any_floor(), pod in any_pod()) {
        let before = serde_json::to_value(spec(&pod)).unwrap();
        let after = serde_json::to_value(filled(floor, &pod)).unwrap();
        prop_assert!(is_kept(&before, &after), "{} became {}", before, after);
    }

    #[test]
    fn filling_in_twice_is_filling_in_once(floor in any_floor(), pod in any_pod()) {
        let once = filled(floor, &pod);
        let mut twice = once.clone();
        floor.fill(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn what_stands_on_restricted_stands_on_baseline(user_namespace: bool, token in select(vec![Token::Refused, Token::Allowed]), pod in any_pod()) {
        let [baseline, restricted] =
            PROFILES.map(|profile| Floor { profile, user_namespace, token });
        let spec = filled(restricted, &pod);
        prop_assert!(restricted.check(&spec).is_err() || baseline.check(&spec).is_ok());
    }
}
