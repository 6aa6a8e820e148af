//! The programs that docs/registration.md offers to copy do what it says of them.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use test_apiserver::Termination;
use tokio::process::{Child, Command};
use workspace_operator::api::{names, status::ActivityState};

use crate::{
    program::Program,
    registration::required,
    world::{World, starts},
};

scenarios_in_memory!(
    the_example_in_shell_registers_beats_and_registers_again,
    the_example_in_python_registers_beats_and_registers_again,
);

async fn the_example_in_shell_registers_beats_and_registers_again(world: World) {
    runs(world, "sh", "sh", "#!/bin/sh").await;
}

async fn the_example_in_python_registers_beats_and_registers_again(world: World) {
    runs(world, "python3", "python", "import ").await;
}

/// Runs the page's block in `language` that begins so, by `interpreter`.
async fn runs(mut world: World, interpreter: &str, language: &str, beginning: &str) {
    world.stop_operator().await;
    world.settings.heartbeat = Duration::from_secs(1);
    world.start_operator();
    world.create("x", required()).await;
    let folder = Folder::of(interpreter);
    folder.write("example", &block(language, beginning));
    folder.write("busy", "");
    let _running = start(interpreter, &folder, &Program::of(&world, "x", "unused").await);
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
    folder.write("token", &program.token);
    folder.write("ca.crt", &program.trust);
    Command::new(interpreter)
        .arg(folder.path("example"))
        .env("WORKSPACE_REGISTRATION_URL", &program.url)
        .env("WORKSPACE_AGENT_TOKEN_FILE", folder.path("token"))
        .env("WORKSPACE_AGENT_CA_FILE", folder.path("ca.crt"))
        .env("WORKSPACE_AGENT_BUSY_FILE", folder.path("busy"))
        .stdin(Stdio::null())
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
        fs::write(self.path(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn block(language: &str, beginning: &str) -> String {
    let page = include_str!("../../docs/registration.md");
    let (mut is_inside, mut text) = (false, String::new());
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(found))) => {
                (is_inside, text) = (&*found == language, String::new());
            }
            Event::Text(part) if is_inside => text.push_str(&part),
            Event::End(TagEnd::CodeBlock) if text.starts_with(beginning) => return text,
            _ => {}
        }
    }
    panic!("docs/registration.md has no block in {language} that begins with {beginning}");
}
