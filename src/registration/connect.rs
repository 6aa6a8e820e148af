//! How a person connects a program that runs elsewhere: one command, to be pasted where it runs.

use crate::{
    api::{class::Backend, names},
    view::{PodView, annotation},
};

use super::AWAITED;

/// How long the token is good for. Who needs it longer writes another one to the same file in time.
const TOKEN_HOURS: u32 = 24;

/// What is said of a program that has not registered at `url`; none where `view` is that of a Pod, whose program gets
/// all it needs from the kubelet.
pub fn awaited(view: &PodView, url: &str) -> Option<String> {
    match view.backend {
        Backend::Pod => None,
        Backend::External => {
            Some(format!("{AWAITED}; to connect it, run where it is to run: {}", command(view, url)))
        }
    }
}

/// The token is made by whoever may make one for the service account: the operator neither makes nor sees it before it is
/// shown. It is read again for every call, so a file has it and not a pipe.
fn command(view: &PodView, url: &str) -> String {
    let namespace = view.metadata.namespace.as_deref().unwrap_or_default();
    let name = view.metadata.name.as_deref().unwrap_or_default();
    let account = annotation(&view.metadata, names::SERVICE_ACCOUNT).unwrap_or("default");
    let (uid, audience) = (view.uid(), names::AUDIENCE);
    let certificates = names::REGISTRATION_CA.replace('.', "\\.");
    format!(
        "d=$(mktemp -d) && kubectl create token {account} -n {namespace} --audience {audience} \
         --bound-object-kind Secret --bound-object-name {name} --bound-object-uid {uid} --duration {TOKEN_HOURS}h \
         > $d/token && kubectl get secret {name} -n {namespace} \
         -o 'jsonpath={{.metadata.annotations.{certificates}}}' > $d/ca.crt && \
         workspace-agent --url {url} --token-file $d/token --ca-file $d/ca.crt -- COMMAND"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::credential;

    #[test]
    fn the_command_is_for_this_very_start() {
        let secret = json!({"metadata": {"name": "x-workspace", "namespace": "ns", "uid": "uid-1",
            "annotations": {"workspaces.dev/service-account": "robot"}}});
        let view = credential::as_pod(&serde_json::from_value(secret).unwrap());
        let told = awaited(&view, "https://operator.example:8443").unwrap();
        assert_eq!(
            told,
            "the program has not registered yet; to connect it, run where it is to run: \
             d=$(mktemp -d) && kubectl create token robot -n ns --audience workspaces.dev --bound-object-kind Secret \
             --bound-object-name x-workspace --bound-object-uid uid-1 --duration 24h > $d/token && \
             kubectl get secret x-workspace -n ns \
             -o 'jsonpath={.metadata.annotations.workspaces\\.dev/registration-ca}' > $d/ca.crt && \
             workspace-agent --url https://operator.example:8443 --token-file $d/token --ca-file $d/ca.crt -- COMMAND"
        );
        assert_eq!(awaited(&PodView::default(), "https://operator:8443"), None);
    }
}
