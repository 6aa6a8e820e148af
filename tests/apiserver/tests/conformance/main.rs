//! What the operator relies on in an API server, held against the one in memory and a real one alike. Each case takes
//! a client and an own namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are assertions")]

mod applying;
mod defaults;
mod deleting;
mod reading;
mod support;
mod tokens;
mod watching;
mod writing;

macro_rules! hold {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod in_memory {
            use test_apiserver::ApiServer;

            $($(
                #[tokio::test]
                async fn $case() {
                    let server = ApiServer::new();
                    let _cluster = server.run();
                    server.create_namespace("conformance");
                    crate::$module::$case(server.client(), "conformance").await;
                }
            )*)*
        }

        mod on_a_real_api_server {
            use std::path::Path;

            use kube::Client;
            use test_cluster::{Cluster, NodeKind};

            $($(
                #[tokio::test]
                async fn $case() {
                    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
                    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
                    cluster.install_crds(&crds).await.unwrap();
                    let namespace = cluster.namespace("conformance", NodeKind::Fake).await.unwrap();
                    // A refusal with 429 is what a case wants to see, not to be tried again for minutes.
                    let mut config = cluster.config();
                    config.default_retry = false;
                    crate::$module::$case(Client::try_from(config).unwrap(), namespace.name()).await;
                    namespace.close().await.unwrap();
                }
            )*)*
        }
    };
}

hold! {
    writing:
        a_taken_name_is_refused_even_in_a_dry_run,
        a_generated_name_begins_with_its_prefix,
        a_stale_write_is_refused,
        a_write_for_another_uid_is_refused,
        an_unconditional_put_is_refused_for_custom_resources,
        a_write_that_changes_nothing_keeps_the_resource_version,
        the_generation_counts_changes_of_the_spec_only,
        status_and_spec_are_written_apart,
        a_stale_status_is_refused,
        a_pods_labels_keep_its_generation,
        a_dry_run_changes_nothing,
        a_json_patch_whose_test_fails_changes_nothing,
        a_strategic_merge_keeps_other_items,
        a_pod_is_immutable_but_for_its_image_and_metadata,
        resources_of_a_running_pod_change_by_resize_only,
        a_pods_condition_is_patched_for_its_uid_only,
        a_pod_without_its_account_is_forbidden,
        an_object_in_a_missing_namespace_is_not_found;
    applying:
        an_apply_creates_what_is_missing,
        an_apply_that_creates_must_name_its_object,
        an_apply_for_another_uid_is_refused,
        a_field_written_by_an_update_is_a_conflict_too,
        a_label_given_up_leaves_no_empty_map,
        an_owner_given_up_goes_alone,
        a_field_no_longer_applied_goes,
        a_field_of_another_manager_is_a_conflict_unless_forced,
        list_items_are_owned_one_by_one,
        an_apply_of_the_same_keeps_the_resource_version,
        an_applied_status_leaves_the_spec_alone,
        an_apply_with_a_stranger_uid_creates_nothing;
    defaults:
        a_pod_is_completed,
        a_claim_is_completed_and_guarded,
        a_service_is_completed,
        a_network_policy_is_left_as_it_is;
    deleting:
        a_deletion_answers_with_a_status_or_the_pod,
        a_claim_is_protected,
        an_eviction_is_refused_by_a_budget,
        a_deletion_for_another_uid_is_refused,
        an_object_with_a_finalizer_stays_until_it_is_taken_off,
        no_finalizer_is_added_to_an_object_under_deletion,
        deletion_bumps_the_generation,
        a_pod_without_a_node_goes_at_once,
        a_pod_of_a_lost_node_stays_until_forced,
        a_dry_run_of_a_deletion_deletes_nothing,
        a_collection_is_deleted_by_its_selector,
        dependents_follow_their_owner,
        orphans_outlive_their_owner,
        a_foreground_deletion_waits_for_dependents,
        nothing_is_made_in_a_terminating_namespace;
    reading:
        an_unknown_kind_is_not_found,
        a_list_is_narrowed_by_labels_and_fields,
        a_list_comes_in_pages,
        metadata_alone_can_be_asked_for;
    tokens:
        a_pods_token_tells_its_pod,
        a_token_is_good_for_its_audience_only,
        a_forged_token_is_refused,
        a_token_is_good_until_its_pod_is_gone,
        a_token_of_a_pods_predecessor_is_refused,
        a_secrets_token_tells_no_secret_and_dies_with_it,
        a_token_dies_with_its_account,
        a_token_is_bound_only_to_what_is_there,
        a_review_wants_a_token_and_is_not_kept;
    watching:
        a_watch_goes_on_from_a_list,
        an_object_that_leaves_the_selector_is_gone_for_the_watch,
        a_metadata_watch_gets_metadata_only,
        initial_events_end_with_a_bookmark;
}
