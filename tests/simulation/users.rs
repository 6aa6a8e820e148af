//! Users who create, edit, restart, hold, delete and re-create at any moment.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_apiserver::ApiServer;
use workspace_operator::{api::names, context::Clock};

use crate::{dice::Dice, trace::Trace};

/// Never in the way, slow, failing, slow to go.
const IMAGES: [&str; 5] = ["good", "slow", "linger", "fail", "missing"];
const NAMES: [&str; 2] = ["a", "b"];
const HOLD: &str = "hold.workspaces.dev/maintenance";

/// What is wanted of one workspace in the end.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub exists: bool,
    pub image: String,
    pub is_stopped: bool,
    pub is_held: bool,
}

pub struct Users {
    server: ApiServer,
    dice: Dice,
    trace: Trace,
    clock: Clock,
    pub wishes: BTreeMap<&'static str, Wish>,
}

impl Users {
    pub fn new(server: ApiServer, dice: Dice, trace: Trace, clock: Clock) -> Self {
        let wishes = NAMES.map(|name| (name, Wish::default())).into();
        Self { server, dice, trace, clock, wishes }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.server.change("Workspace", "test", name, change).is_ok()
    }

    /// One of them does something.
    pub fn act(&mut self) {
        let name = *self.dice.one(&NAMES);
        let mut wish = self.wishes.get(name).cloned().unwrap_or_default();
        let is_done = if wish.exists { self.edit(name, &mut wish) } else { self.create(name, &mut wish) };
        if let Some(what) = is_done {
            self.trace.count(&format!("user {what}"));
            self.trace.say((self.clock)(), "user", &format!("{what} {name}: {wish:?}"));
            self.wishes.insert(name, wish);
        }
    }

    /// Whoever asked for what can't run asks for what can: failing Pods are replaced for ever, and nothing comes to rest.
    pub fn mend(&mut self) {
        for (name, wish) in &mut self.wishes {
            let image = json!("registry.test/good:9");
            let mend = |object: &mut Value| object["spec"]["image"] = image;
            if wish.exists
                && ["fail", "missing"].contains(&wish.image.as_str())
                && self.server.change("Workspace", "test", name, mend).is_ok()
            {
                "good".clone_into(&mut wish.image);
            }
        }
    }

    fn create(&self, name: &str, wish: &mut Wish) -> Option<&'static str> {
        let image = *self.dice.one(&IMAGES);
        let annotations = if self.dice.percent(20) {
            json!({ names::RESTARTED_AT: (self.clock)().to_string() })
        } else {
            json!({})
        };
        let registrations = [
            json!({"policy": "Disabled"}),
            json!({"policy": "Required"}),
            json!({"policy": "Required", "onSilence": "Restart"}),
        ];
        let registration = self.dice.one(&registrations);
        let object = json!({
            "apiVersion": "workspaces.dev/v1alpha1",
            "kind": "Workspace",
            "metadata": {"name": name, "namespace": "test", "annotations": annotations},
            "spec": {"image": format!("registry.test/{image}:1"), "registration": registration},
        });
        // The one before it may still be there.
        self.server.create(object).ok()?;
        *wish = Wish { exists: true, image: image.to_owned(), ..Wish::default() };
        Some("creates")
    }

    fn edit(&self, name: &str, wish: &mut Wish) -> Option<&'static str> {
        let now = (self.clock)().to_string();
        let (what, is_done) = match self.dice.below(9) {
            0 | 1 => {
                let image = *self.dice.one(&IMAGES);
                image.clone_into(&mut wish.image);
                let image = format!("registry.test/{image}:{}", self.dice.below(3));
                ("edits the image of", self.change(name, |object| object["spec"]["image"] = json!(image)))
            }
            2 => {
                let env = json!([{"name": "A", "value": self.dice.below(3).to_string()}]);
                ("edits the environment of", self.change(name, |object| object["spec"]["env"] = env))
            }
            3 => {
                let annotate =
                    |object: &mut Value| object["metadata"]["annotations"][names::RESTARTED_AT] = json!(now);
                ("restarts", self.change(name, annotate))
            }
            4 => (
                "restarts in the spec",
                self.change(name, |object| object["spec"]["restartedAt"] = json!(now)),
            ),
            5 => {
                wish.is_stopped = !wish.is_stopped;
                let state = if wish.is_stopped { "Stopped" } else { "Running" };
                (state, self.change(name, |object| object["spec"]["runState"] = json!(state)))
            }
            6 => {
                wish.is_held = !wish.is_held;
                let is_held = wish.is_held;
                let hold = |object: &mut Value| {
                    if is_held {
                        object["metadata"]["annotations"][HOLD] = json!("work");
                    } else if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                        annotations.remove(HOLD);
                    }
                };
                (if is_held { "holds" } else { "lets go of" }, self.change(name, hold))
            }
            7 => {
                wish.is_held = false;
                let strip = |object: &mut Value| object["metadata"]["annotations"] = json!({});
                ("strips annotations of", self.change(name, strip))
            }
            _ => {
                *wish = Wish::default();
                ("deletes", self.server.delete("Workspace", "test", name).is_ok())
            }
        };
        is_done.then_some(what)
    }
}
