//! What the operator relies on in an API server, held against the one in memory. Each case takes a client and an
//! own namespace, so that the same cases can be held against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are assertions")]

mod applying;
mod deleting;
mod reading;
mod support;
mod watching;
mod writing;

use test_apiserver::ApiServer;

macro_rules! hold {
    ($($module:ident: $($case:ident),* $(,)?;)*) => { $($(
        #[tokio::test]
        async fn $case() {
            let server = ApiServer::new();
            let _cluster = server.run();
            server.create_namespace("conformance");
            $module::$case(server.client(), "conformance").await;
        }
    )*)* };
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
        a_dry_run_changes_nothing,
        a_json_patch_whose_test_fails_changes_nothing,
        a_strategic_merge_keeps_other_items,
        a_pod_is_immutable_but_for_its_image_and_metadata,
        resources_of_a_running_pod_change_by_resize_only,
        a_pod_without_its_account_is_forbidden,
        an_object_in_a_missing_namespace_is_not_found;
    applying:
        an_apply_creates_what_is_missing,
        a_field_no_longer_applied_goes,
        a_field_of_another_manager_is_a_conflict_unless_forced,
        list_items_are_owned_one_by_one,
        an_apply_of_the_same_keeps_the_resource_version,
        an_applied_status_leaves_the_spec_alone,
        an_apply_with_a_stranger_uid_creates_nothing;
    deleting:
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
    watching:
        a_watch_goes_on_from_a_list,
        an_object_that_leaves_the_selector_is_gone_for_the_watch,
        a_metadata_watch_gets_metadata_only,
        initial_events_end_with_a_bookmark;
}
