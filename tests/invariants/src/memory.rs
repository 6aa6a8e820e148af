//! Recording a server in memory: exactly, for it tells of all that happens in the order in which it does.

use test_apiserver::{ApiServer, Happening, Observed};

use crate::{Change, Recorder, What, history::is_recorded};

impl Recorder {
    /// Records what happens on `server` from now on, and first what is there. Operators are the clients by whose names
    /// `is_operator`; whatever others do is somebody's.
    pub fn of(server: &ApiServer, is_operator: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let recorder = Self::default();
        let noted = recorder.clone();
        server.observe(move |observed| {
            if let Some(what) = what(observed, &is_operator) {
                noted.note(observed.at, what);
            }
        });
        recorder
    }
}

fn what(observed: &Observed, is_operator: impl Fn(&str) -> bool) -> Option<What> {
    let operator = || observed.client.clone().filter(|client| is_operator(client));
    match &observed.what {
        Happening::Called { call, request } => {
            let operator = operator().filter(|_| request.verb.is_write())?;
            Some(What::Called { operator, call: *call, request: request.clone() })
        }
        Happening::Answered { call, request } => {
            let operator = operator().filter(|_| request.verb.is_write())?;
            Some(What::Done { operator, call: *call, request: request.clone() })
        }
        Happening::Changed { revision, kind, before, after } => {
            let change = Change {
                revision: *revision,
                kind: (*kind).to_owned(),
                before: before.clone(),
                after: after.clone(),
            };
            is_recorded(kind).then_some(What::Changed(change))
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, api::PostParams};
    use serde_json::json;
    use test_apiserver::ClientOptions;

    use crate::{Recorder, What};

    #[tokio::test]
    async fn whose_doing_it_is_stands_around_it() {
        let server = ApiServer::new();
        let recorder = Recorder::of(&server, |client| client == "operator");
        let before = recorder.history().events.len();
        for (client, name) in [("user", "a"), ("operator", "b")] {
            let client = server.client_with(ClientOptions::named(client)).client();
            let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            Api::namespaced(client, "default").create(&PostParams::default(), &map).await.unwrap();
        }
        let history = recorder.history();
        let told = history.events[before..].iter().map(|event| match &event.what {
            What::Called { .. } => "called",
            What::Done { .. } => "done",
            What::Changed(_) => "changed",
            _ => "else",
        });
        assert_eq!(told.collect::<Vec<_>>(), ["changed", "called", "changed", "done"]);
    }
}
