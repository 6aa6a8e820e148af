//! What is done to the workspace whose orders are enumerated.

/// What somebody does to the workspace.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Create,
    Restart,
    Image,
    Stop,
    Run,
    Delete,
    Vanish,
    Fail,
}

/// What was done before, and what is done meanwhile.
pub struct Script {
    pub name: &'static str,
    pub before: &'static [Act],
    pub meanwhile: &'static [Act],
}

pub const SCRIPTS: [Script; 6] = [
    Script { name: "created and restarted", before: &[], meanwhile: &[Act::Create, Act::Restart] },
    Script { name: "restarted twice", before: &[Act::Create], meanwhile: &[Act::Restart, Act::Restart] },
    Script { name: "stopped and run again", before: &[Act::Create], meanwhile: &[Act::Stop, Act::Run] },
    Script { name: "deleted and made again", before: &[Act::Create], meanwhile: &[Act::Delete, Act::Create] },
    Script { name: "lost and restarted", before: &[Act::Create], meanwhile: &[Act::Vanish, Act::Restart] },
    Script { name: "changed as it fails", before: &[Act::Create], meanwhile: &[Act::Image, Act::Fail] },
];
