# The test cluster. NODE=real|fake|both says what runs its Pods (default: real when root on Linux, else fake);
# CLUSTER=own uses the cluster that KUBECONFIG names instead.
TEST_CLUSTER = cargo run --quiet --package test-cluster --

.PHONY: cluster-up cluster-down cluster-status

cluster-up:
	@$(TEST_CLUSTER) up $(if $(NODE),--node $(NODE))

cluster-down:
	@$(TEST_CLUSTER) down

cluster-status:
	@$(TEST_CLUSTER) status

# Shows a workspace's life with the commands a person would type, and fails if anything is not as said.
.PHONY: demo

demo:
	@cargo build --quiet --bin workspace-operator --example demo
	@cargo run --quiet --example demo -- $(if $(NODE),--node $(NODE))

# What only real containers can show; needs root on Linux.
.PHONY: test-node

test-node:
	@cargo test --test node
