//! A namespace with policies that hold in it alone, and people who write workspaces there.

use std::{path::Path, time::Duration};

use http::{HeaderName, HeaderValue};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
    client::ClientBuilder,
};
use serde_json::{Value, json};
use test_cluster::{Cluster, Namespace, NodeKind, until};
use workspace_operator::api::{Workspace, WorkspaceClass, names};

use crate::files::{self, BINDING, POLICY};

/// How long the API server may take to act by what was just written: it learns of it by watches.
const LIMIT: Duration = Duration::from_secs(30);

const RBAC: &str = "rbac.authorization.k8s.io";

/// The administrator.
pub const ADMIN: &str = "";

/// The API server's words where it refuses.
pub type Refusal = String;

/// Where a test takes place. Everything that is not in the namespace is owned by it and goes with it.
pub struct Ground {
    cluster: Cluster,
    client: Client,
    namespace: Namespace,
    owner: Value,
}

impl Ground {
    /// The shared cluster with the policies of these files, which the API server may not know of yet: a test waits
    /// for what they refuse before it believes what they allow.
    pub async fn with(files: &[&str]) -> Self {
        let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
        cluster.install_crds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).await.unwrap();
        let namespace = cluster.namespace("policies", NodeKind::Fake).await.unwrap();
        let client = cluster.client().unwrap();
        let object: NamespaceObject = Api::all(client.clone()).get(namespace.name()).await.unwrap();
        let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": object.name_any(), "uid": object.uid()}]);
        let ground = Self { cluster, client, namespace, owner };
        for file in files {
            ground.install(file).await;
        }
        ground
    }

    /// The objects of a file under names of this test's own, bound to its namespace alone.
    async fn install(&self, file: &str) {
        // Nothing here marks a real default class: operators of other tests would take it.
        let text = files::text(file).replace(names::DEFAULT_CLASS, &self.default_class());
        for mut object in files::objects(&text) {
            let name = self.own(object["metadata"]["name"].as_str().unwrap());
            object["metadata"]["name"] = json!(name);
            if object["kind"] == BINDING {
                let policy = self.own(object["spec"]["policyName"].as_str().unwrap());
                object["spec"]["policyName"] = json!(policy);
                let here = json!({"kubernetes.io/metadata.name": self.namespace.name()});
                object["spec"]["matchResources"] = json!({"namespaceSelector": {"matchLabels": here}});
            }
            self.store(object).await;
        }
    }

    /// What marks a default class for the policies of this test.
    pub fn default_class(&self) -> String {
        format!("{}-of-{}", names::DEFAULT_CLASS, self.namespace)
    }

    /// A name in the cluster that only this test has.
    pub fn own(&self, name: &str) -> String {
        format!("{name}-{}", self.namespace)
    }

    /// The name of the namespace.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Stores an object of the cluster that goes with the namespace.
    async fn store(&self, mut object: Value) -> DynamicObject {
        object["metadata"]["ownerReferences"] = self.owner.clone();
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
        let what = format!("{} {}", kind.kind, object.name_any());
        api.create(&PostParams::default(), &object).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// A class, and its name.
    pub async fn class(&self, name: &str, spec: Value) -> String {
        self.annotated_class(name, json!({}), spec).await
    }

    /// A class with annotations, and its name.
    pub async fn annotated_class(&self, name: &str, annotations: Value, spec: Value) -> String {
        let name = self.own(name);
        let resource = ApiResource::erase::<WorkspaceClass>(&());
        self.store(json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec,
        }))
        .await;
        name
    }

    /// Changes a class by a merge patch.
    pub async fn change_class(&self, name: &str, spec: Value) {
        let api: Api<WorkspaceClass> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({ "spec": spec }));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Gives the namespace a label.
    pub async fn label(&self, key: &str, value: &str) {
        let api: Api<NamespaceObject> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
        api.patch(self.namespace.name(), &PatchParams::default(), &patch).await.unwrap();
    }

    /// Somebody who may write workspaces in the namespace, and no more.
    pub async fn writer(&self, name: &str) -> String {
        let rules = json!([{"apiGroups": [names::GROUP], "resources": ["workspaces"], "verbs": ["*"]}]);
        let user = self.own(name);
        self.permit(&user, &format!("write-{user}"), rules).await;
        user
    }

    /// Lets somebody use a class.
    pub async fn let_use(&self, user: &str, class: &str) {
        let rules = json!([{
            "apiGroups": [names::GROUP],
            "resources": ["workspaceclasses"],
            "resourceNames": [class],
            "verbs": ["use"],
        }]);
        self.permit(user, &format!("use-{class}-{user}"), rules).await;
    }

    async fn permit(&self, user: &str, role: &str, rules: Value) {
        let object = |kind: &str| json!({"apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": {"name": role}});
        let (mut granted, mut binding) = (object("ClusterRole"), object("ClusterRoleBinding"));
        granted["rules"] = rules;
        binding["roleRef"] = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": role});
        binding["subjects"] = json!([{"apiGroup": RBAC, "kind": "User", "name": user}]);
        self.store(granted).await;
        self.store(binding).await;
    }

    /// The workspaces of the namespace in the hands of `user`, without a schema: a test may write anything.
    fn workspaces(&self, user: &str) -> Api<DynamicObject> {
        let mut config = self.cluster.config();
        if user != ADMIN {
            let header = HeaderName::from_static("impersonate-user");
            config.headers.push((header, HeaderValue::from_str(user).unwrap()));
        }
        let client = ClientBuilder::try_from(config).unwrap().build();
        let resource = ApiResource::erase::<Workspace>(&());
        Api::namespaced_with(client, self.namespace.name(), &resource)
    }

    /// What the API server says when `user` asks for a workspace, which is not made.
    pub async fn ask(&self, user: &str, spec: &Value) -> Result<(), Refusal> {
        self.post(user, "probe", spec, true).await
    }

    /// Makes a workspace as `user`.
    pub async fn create(&self, user: &str, name: &str, spec: &Value) {
        self.post(user, name, spec, false).await.unwrap();
    }

    async fn post(&self, user: &str, name: &str, spec: &Value, dry_run: bool) -> Result<(), Refusal> {
        let resource = ApiResource::erase::<Workspace>(&());
        let object = DynamicObject::new(name, &resource).data(json!({ "spec": spec }));
        let parameters = PostParams { dry_run, ..PostParams::default() };
        answer(self.workspaces(user).create(&parameters, &object).await)
    }

    /// Changes a workspace as `user` by a merge patch.
    pub async fn change(&self, user: &str, name: &str, patch: Value) -> Result<(), Refusal> {
        let patch = Patch::Merge(patch);
        answer(self.workspaces(user).patch(name, &PatchParams::default(), &patch).await)
    }

    /// Changes a workspace's status as `user`.
    pub async fn change_status(&self, user: &str, name: &str, status: Value) -> Result<(), Refusal> {
        let patch = Patch::Merge(json!({ "status": status }));
        answer(self.workspaces(user).patch_status(name, &PatchParams::default(), &patch).await)
    }

    /// Deletes a workspace as `user`.
    pub async fn delete(&self, user: &str, name: &str) -> Result<(), Refusal> {
        self.workspaces(user).delete(name, &DeleteParams::default()).await.map(drop).map_err(said)
    }

    /// Waits until `user` is refused, and tells in which words.
    pub async fn refused(&self, user: &str, spec: &Value) -> Refusal {
        let what = format!("the API server to refuse {user} {spec}");
        until(what, LIMIT, || async { Ok(self.ask(user, spec).await.err()) }).await.unwrap()
    }

    /// Waits until `user` is let through.
    pub async fn accepted(&self, user: &str, spec: &Value) {
        let what = format!("the API server to let {user} have {spec}");
        until(what, LIMIT, || async { Ok(self.ask(user, spec).await.ok()) }).await.unwrap();
    }

    /// What the API server's own type check says of a policy.
    pub async fn warnings(&self, policy: &str) -> Vec<Value> {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", POLICY);
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
        let (api, name) = (&api, &self.own(policy));
        let checked = until(format!("the type check of {name}"), LIMIT, || async move {
            let status = &api.get(name).await.unwrap().data["status"];
            Ok(Some(status["typeChecking"].clone()).filter(Value::is_object))
        });
        let checked = checked.await.unwrap();
        checked["expressionWarnings"].as_array().cloned().unwrap_or_default()
    }
}

fn answer(answer: kube::Result<DynamicObject>) -> Result<(), Refusal> {
    answer.map(drop).map_err(said)
}

fn said(error: kube::Error) -> Refusal {
    match error {
        kube::Error::Api(status) => status.message,
        other => panic!("the API server did not answer: {other}"),
    }
}
