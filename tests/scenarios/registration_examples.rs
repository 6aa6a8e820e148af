//! The programs that docs/registration.md offers to copy do what it says of them.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use kube::ResourceExt;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::Value;
use test_apiserver::Termination;
use test_world::{World, program::Program, starts};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use workspace_operator::api::{Workspace, names, status::ActivityState};

use crate::registration::required;

scenarios_in_memory!(
    the_example_in_shell_registers_beats_and_registers_again,
    the_example_in_python_registers_beats_and_registers_again,
    the_sidecar_of_the_page_gets_what_it_registers_by,
);

async fn the_example_in_shell_registers_beats_and_registers_again(world: World) {
    runs(world, "sh", &block("sh", "nonce=")).await;
}

async fn the_example_in_python_registers_beats_and_registers_again(world: World) {
    runs(world, "python3", &block("python", "NONCE =")).await;
}

/// Runs a program of the page by `interpreter`.
async fn runs(mut world: World, interpreter: &str, example: &str) {
    world.stop_operator().await;
    world.settings.heartbeat = Duration::from_secs(1);
    world.start_operator();
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "unused").await;
    let (head, _) = program.token.rsplit_once('.').unwrap();
    let folder = Folder::of(interpreter);
    folder.write("example", example);
    folder.write("ca.crt", "no certificate");
    folder.write("token", &format!("{head}.forged"));
    folder.write("busy", "");
    let mut running = start(interpreter, &folder, &program);
    // Kept to the end: who writes to nobody is ended.
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let said = lines.next_line().await.unwrap().unwrap();
    assert!(said.starts_with("registration:"), "{said}");

    // It reads both files again.
    folder.write("ca.crt", &program.trust);
    world
        .eventually("the token is refused", || async {
            world.log.requests().iter().any(|call| call.kind == "TokenReview").then_some(())
        })
        .await;
    folder.write("token", &program.token);
    world.ready("x").await;
    does(&world, ActivityState::Busy).await;

    // The process lives on, as that of a sidecar does, and is told to register first.
    world.server().unwrap().restart_container(&world.namespace, "x", "main", Termination::exit(1)).unwrap();
    world
        .eventually("it registers again", || async {
            let status = world.pod("x").await?.status?;
            let mark = status.conditions?.into_iter().find(|one| one.type_ == names::REGISTERED)?;
            let is_new = mark.message.is_some_and(|message| message.contains("after 1 restart"));
            (is_new && mark.status == "True").then_some(())
        })
        .await;
    fs::remove_file(folder.path("busy")).unwrap();
    does(&world, ActivityState::Idle).await;
    assert_eq!(starts(&world.ready("x").await), 1);
    assert!(running.try_wait().unwrap().is_none(), "it ended");
}

async fn the_sidecar_of_the_page_gets_what_it_registers_by(world: World) {
    let manifest: Value = serde_saphyr::from_str(&block("yaml", "initContainers:")).unwrap();
    let name = world.apply::<Workspace>(manifest).await.name_any();
    let pod = world.eventually("its Pod", || world.pod(&name)).await;
    let agent = serde_json::to_value(&pod.spec.unwrap().init_containers.unwrap()[0]).unwrap();
    let variables: Vec<_> = agent["env"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(names::RESERVED_ENV.iter().all(|name| variables.contains(&&Value::from(*name))), "{variables:?}");
    let mounts = agent["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == names::REGISTRATION_VOLUME).unwrap();
    assert_eq!(mount["mountPath"], names::REGISTRATION_MOUNT);
}

/// Until a heartbeat told so.
async fn does(world: &World, state: ActivityState) {
    world
        .until("x", &format!("{state:?}"), |workspace| {
            let activity = workspace.status.as_ref().and_then(|status| status.activity.as_ref());
            activity.is_some_and(|activity| activity.state == state)
        })
        .await;
}

/// The program in a Pod, as far as it needs one. It ends with the value.
fn start(interpreter: &str, folder: &Folder, program: &Program) -> Child {
    Command::new(interpreter)
        .arg(folder.path("example"))
        .env("WORKSPACE_REGISTRATION_URL", &program.url)
        .env("WORKSPACE_AGENT_TOKEN_FILE", folder.path("token"))
        .env("WORKSPACE_AGENT_CA_FILE", folder.path("ca.crt"))
        .env("WORKSPACE_AGENT_BUSY_FILE", folder.path("busy"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn of(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("registration-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // Whole or not at all, as the kubelet does it.
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first block of the page in this language that holds `part`.
fn block(language: &str, part: &str) -> String {
    let page = include_str!("../../docs/registration.md");
    let (mut is_inside, mut text) = (false, String::new());
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(found))) => {
                (is_inside, text) = (&*found == language, String::new());
            }
            Event::Text(line) if is_inside => text.push_str(&line),
            Event::End(TagEnd::CodeBlock) if text.contains(part) => return text,
            _ => {}
        }
    }
    panic!("docs/registration.md has no block in {language} with {part}");
}
