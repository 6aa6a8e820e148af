//! Asks the API server who shows a token.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};

use crate::api::names;

use super::{Identity, identity};

/// Who shows `token`; none where it is not good here. An error means that nobody knows.
pub async fn review(client: &Client, token: &str) -> Result<Option<Identity>, kube::Error> {
    let review = TokenReview {
        spec: TokenReviewSpec { audiences: Some(vec![names::AUDIENCE.to_owned()]), token: token.to_owned() },
        ..Default::default()
    };
    let api: Api<TokenReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.as_ref().and_then(|status| identity::reviewed(status, token)))
}
