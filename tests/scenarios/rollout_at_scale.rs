//! A class's new image on its way to hundreds of workspaces, each at its turn.

mod on_a_real_api_server {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_changed_image_reaches_200_workspaces_at_its_width_is_paused_resumed_and_undone() {
        let fake = test_cluster::NodeKind::Fake;
        let world = test_world::World::on_a_real_api_server_without_operator(fake).await;
        let report = test_world::rollout_at_scale::roll(world, 200).await;
        assert_eq!(report.width, 10);
        assert!(report.most_down() <= report.width, "{report}");
        for phase in &report.phases[1..] {
            // Each: that it waits, that its turn has come, stop recorded, deleted, claimed, made, Ready; and on a slow
            // machine what a start waits for meanwhile, twice.
            assert!(phase.writes <= 9 * report.workspaces, "{report}");
        }
    }
}
