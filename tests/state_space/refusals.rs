//! What the schema refuses is refused on a running workspace, too, and changes nothing.

use futures::{StreamExt, stream};

use crate::{case, choice::Choice, kind::Kind, seen, stage::Stage};

const CALLS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_schema_refuses_changes_nothing_of_what_runs() {
    let choice = Choice::of_environment();
    let stage = Stage::up().await;
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let name = format!("subject-{kind:?}").to_lowercase();
        stage.begin(kind, &name, &kind.base()).await.unwrap();
        stage.world.ready(&name).await;
        stage.world.quiet().await;
        let before = seen::all(&stage.world).await;
        stage.world.forget_writes();
        let specs = case::refused(kind).into_iter().flat_map(|(path, specs)| {
            specs.into_iter().map(move |spec| (path.clone(), spec)).collect::<Vec<_>>()
        });
        let specs: Vec<_> = specs.filter(|(path, _)| choice.has(path)).collect();
        eprintln!("{kind:?}: {} specs that the schema refuses", specs.len());
        let (stage, name) = (&stage, &name);
        let accepted = stream::iter(specs).map(|(path, spec)| async move {
            stage.put(kind, name, &spec).await.is_ok().then(|| format!("{path}: {spec} was accepted"))
        });
        wrong.extend(
            accepted.buffer_unordered(CALLS).filter_map(|one| async { one }).collect::<Vec<_>>().await,
        );
        stage.world.quiet().await;
        assert_eq!(stage.world.writes(), [], "{kind:?}");
        assert_eq!(seen::all(&stage.world).await, before, "{kind:?}");
    }
    stage.down().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
