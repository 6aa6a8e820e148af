//! What the program's activity has a say in: when the workspace is stopped for want of it, and when a change may disturb.

use std::time::Duration;

use k8s_openapi::{api::core::v1::HTTPHeader, apimachinery::pkg::util::intstr::IntOrString};

use crate::api::{
    WorkspaceSpec,
    idle::IdleProbe,
    update_strategy::{UpdateStrategy, UpdateStrategyType},
};

use super::{
    Blocked,
    json_path::{JsonPath, Malformed},
};

/// Where Jupyter has it.
const LAST_ACTIVITY: &str = "$.last_activity";
const MAX_DELAY: Duration = Duration::from_hours(1);

/// When a workspace is stopped because nobody uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct IdleStop {
    pub after: Duration,
    pub source: Source,
}

/// Who tells of the program's activity.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Heartbeats,
    Probe(Probe),
}

/// How the program is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub port: u16,
    pub path: String,
    pub headers: Vec<HTTPHeader>,
    pub last_activity: JsonPath,
}

/// When an idle workspace is stopped; none where it never is.
pub fn idle_stop(spec: &WorkspaceSpec) -> Result<Option<IdleStop>, Blocked> {
    let Some(idle) = &spec.idle else { return Ok(None) };
    let probe = idle.probe.as_ref().map(|probe| self::probe(spec, probe)).transpose()?;
    let Some(after) = idle.stop_after_seconds else { return Ok(None) };
    let source = match probe {
        Some(probe) => Source::Probe(probe),
        None if spec.requires_registration() => Source::Heartbeats,
        None => {
            let why = "nobody tells of activity: it takes registration.policy Required, or idle.probe";
            return Err(Blocked::invalid("idle.stopAfterSeconds", why));
        }
    };
    Ok(Some(IdleStop { after: seconds(after), source }))
}

fn probe(spec: &WorkspaceSpec, probe: &IdleProbe) -> Result<Probe, Blocked> {
    let get = &probe.http_get;
    let number = match &get.port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            spec.ports.iter().find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port)
        }
    };
    let port =
        number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0).ok_or_else(|| {
            Blocked::invalid(
                "idle.probe.httpGet.port",
                "neither a port's number nor the name of one of ports",
            )
        })?;
    let path = probe.last_activity.as_deref().unwrap_or(LAST_ACTIVITY);
    let last_activity: JsonPath = path.parse().map_err(|error: Malformed| {
        Blocked::invalid("idle.probe.lastActivity", &format!("{path:?}: {error}"))
    })?;
    let path = get.path.clone().unwrap_or_else(|| "/".to_owned());
    Ok(Probe { port, path, headers: get.http_headers.clone(), last_activity })
}

/// When a change is carried out, and for how long at most it waits for an idle moment.
pub fn strategy(spec: &WorkspaceSpec) -> Result<(UpdateStrategyType, Duration), Blocked> {
    let UpdateStrategy { type_, max_delay_seconds } = spec.update_strategy.clone().unwrap_or_default();
    let type_ = type_.unwrap_or_default();
    if type_ == UpdateStrategyType::WhenIdle && !spec.requires_registration() {
        let why = "WhenIdle takes registration.policy Required: only a program that is heard can say that it is idle";
        return Err(Blocked::invalid("updateStrategy.type", why));
    }
    Ok((type_, max_delay_seconds.map_or(MAX_DELAY, seconds)))
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> WorkspaceSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn somebody_has_to_tell_of_activity() {
        let idle = json!({"stopAfterSeconds": 60});
        assert!(idle_stop(&spec(json!({ "idle": idle }))).is_err());
        let registered = idle_stop(&spec(json!({"idle": idle, "registration": {"policy": "Required"}})));
        assert_eq!(registered.unwrap().unwrap().source, Source::Heartbeats);
        assert_eq!(idle_stop(&spec(json!({"idle": {}}))).unwrap(), None);
    }

    #[test]
    fn a_probe_asks_the_pod_where_jupyter_answers() {
        let probe = |port: Value, last: Value| {
            let get = json!({"port": port, "path": "/api/status"});
            let idle = json!({"stopAfterSeconds": 60, "probe": {"httpGet": get, "lastActivity": last}});
            idle_stop(&spec(json!({"ports": [{"name": "http", "containerPort": 8888}], "idle": idle})))
        };
        for port in [json!(8888), json!("http")] {
            let Source::Probe(probe) = probe(port, Value::Null).unwrap().unwrap().source else {
                panic!("not asked")
            };
            assert_eq!((probe.port, probe.path.as_str()), (8888, "/api/status"));
            assert_eq!(probe.last_activity.to_string(), "$.last_activity");
        }
        for (port, last, field) in [
            (json!("https"), Value::Null, "spec.idle.probe.httpGet.port"),
            (json!(0), Value::Null, "spec.idle.probe.httpGet.port"),
            (json!(8888), json!("$["), "spec.idle.probe.lastActivity"),
        ] {
            let blocked = probe(port, last).unwrap_err();
            assert!(blocked.message.starts_with(field), "{blocked}");
        }
    }

    #[test]
    fn only_who_is_heard_can_be_waited_for() {
        let when_idle = json!({"type": "WhenIdle"});
        assert!(strategy(&spec(json!({ "updateStrategy": when_idle }))).is_err());
        let heard = spec(json!({"updateStrategy": when_idle, "registration": {"policy": "Required"}}));
        assert_eq!(strategy(&heard).unwrap(), (UpdateStrategyType::WhenIdle, MAX_DELAY));
        let limited = spec(json!({"updateStrategy": {"maxDelaySeconds": 5}}));
        assert_eq!(strategy(&limited).unwrap(), (UpdateStrategyType::Immediate, Duration::from_secs(5)));
    }
}
