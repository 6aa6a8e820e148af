//! What a workspace may say whose program runs elsewhere. There is no Pod, so what speaks of one is refused by its
//! name: somebody who wrote it believes that it has an effect.

use crate::api::{Reason, WorkspaceSpec, registration::RegistrationPolicy};

use super::{Blocked, class::Offer};

/// `spec`, with the defaults of its class `class`, of a program that runs elsewhere. That it registers goes without
/// saying.
pub(super) fn spec(mut spec: WorkspaceSpec, offer: &Offer, class: &str) -> Result<WorkspaceSpec, Blocked> {
    if let Some(field) = of_a_pod(&spec) {
        let why = format!(
            "there is no Pod: the programs of WorkspaceClass {class} run elsewhere (backend External)"
        );
        return Err(Blocked::invalid(field, &why));
    }
    let policy = spec.registration.as_ref().and_then(|registration| registration.policy);
    if policy == Some(RegistrationPolicy::Disabled) {
        let why = format!("has to be Required: the programs of WorkspaceClass {class} run elsewhere");
        return Err(Blocked::invalid("registration.policy", &why));
    }
    let flag = match offer {
        Offer { registration_url: None, .. } => Some("--registration=false"),
        Offer { sees_secrets: false, .. } => Some("--restart-on-reference-change=false"),
        _ => None,
    };
    if let Some(flag) = flag {
        let message =
            format!("WorkspaceClass {class}: spec.backend: this operator can't do External ({flag})");
        return Err(Blocked { reason: Reason::InvalidSpec, message });
    }
    spec.registration.get_or_insert_default().policy = Some(RegistrationPolicy::Required);
    Ok(spec)
}

/// The first field that speaks of a Pod. The destructuring makes a new field of the spec choose whether it does.
fn of_a_pod(spec: &WorkspaceSpec) -> Option<&'static str> {
    let WorkspaceSpec {
        class_name: _,
        image,
        image_pull_policy,
        image_pull_secrets,
        command,
        args,
        working_dir,
        env,
        env_from,
        ports,
        resources,
        security_context,
        startup_probe,
        readiness_probe,
        liveness_probe,
        storage,
        service,
        run_state: _,
        restarted_at: _,
        update_strategy: _,
        progress_deadline_seconds: _,
        registration: _,
        idle,
        termination_grace_period_seconds,
        service_account_name: _,
        pod_template,
    } = spec;
    let said = [
        ("image", image.is_some()),
        ("imagePullPolicy", image_pull_policy.is_some()),
        ("imagePullSecrets", !image_pull_secrets.is_empty()),
        ("command", !command.is_empty()),
        ("args", !args.is_empty()),
        ("workingDir", working_dir.is_some()),
        ("env", !env.is_empty()),
        ("envFrom", !env_from.is_empty()),
        ("ports", !ports.is_empty()),
        ("resources", resources.is_some()),
        ("securityContext", security_context.is_some()),
        ("startupProbe", startup_probe.is_some()),
        ("readinessProbe", readiness_probe.is_some()),
        ("livenessProbe", liveness_probe.is_some()),
        ("storage", storage.is_some()),
        ("service", service.is_some()),
        ("idle.probe", idle.as_ref().is_some_and(|idle| idle.probe.is_some())),
        ("terminationGracePeriodSeconds", termination_grace_period_seconds.is_some()),
        ("podTemplate", pod_template.is_some()),
    ];
    said.into_iter().find_map(|(field, is_said)| is_said.then_some(field))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn offer() -> Offer {
        Offer {
            registration_url: Some("https://operator:8443".into()),
            sees_secrets: true,
            ..Offer::default()
        }
    }

    fn checked(value: Value, offer: &Offer) -> Result<WorkspaceSpec, String> {
        spec(serde_json::from_value(value).unwrap(), offer, "c").map_err(|blocked| blocked.message)
    }

    #[test]
    fn what_speaks_of_a_pod_is_refused_by_name() {
        let get = json!({"port": 80});
        for (value, field) in [
            (json!({"image": "a"}), "image"),
            (json!({"env": [{"name": "A", "value": "b"}]}), "env"),
            (json!({"storage": {"size": "1Gi"}}), "storage"),
            (json!({"idle": {"probe": {"httpGet": get}}}), "idle.probe"),
            (json!({"podTemplate": {"metadata": {"labels": {"a": "b"}}}}), "podTemplate"),
        ] {
            let refused = checked(value, &offer()).unwrap_err();
            assert!(refused.starts_with(&format!("spec.{field}: there is no Pod")), "{refused}");
        }
    }

    #[test]
    fn that_its_program_registers_goes_without_saying() {
        for value in
            [json!({}), json!({"registration": {"policy": "Required"}, "idle": {"stopAfterSeconds": 60}})]
        {
            assert!(checked(value, &offer()).unwrap().requires_registration());
        }
        let disabled = json!({"registration": {"policy": "Disabled"}});
        assert!(checked(disabled, &offer()).unwrap_err().starts_with("spec.registration.policy"));
    }

    #[test]
    fn an_operator_that_can_not_do_it_says_why() {
        let deaf = Offer { registration_url: None, ..offer() };
        assert!(checked(json!({}), &deaf).unwrap_err().contains("--registration=false"));
        let blind = Offer { sees_secrets: false, ..offer() };
        assert!(checked(json!({}), &blind).unwrap_err().contains("--restart-on-reference-change=false"));
    }
}
