//! Inputs to call a model with that is measured.

use loopscope_core::backend::{LoadedModel, Request};
use loopscope_core::experiment::{ModelKind, Picture};

/// As many different inputs as there may be in a batch.
pub(super) enum Inputs {
    Texts(Vec<String>),
    Pictures(Vec<Picture>),
}

impl Inputs {
    pub(super) fn of(kind: ModelKind, count: usize) -> anyhow::Result<Self> {
        if matches!(kind, ModelKind::TextToImage | ModelKind::TextEmbedder) {
            let places = ["left", "right", "top", "bottom"];
            let text = |number: usize| {
                format!("a photograph of {} red apples at the {} of a wooden table", number + 2, places[number % 4])
            };
            return Ok(Self::Texts((0..count).map(text).collect()));
        }
        let picture = |number: usize| {
            let pixel = |place: usize| [(place / 256) as u8, (place % 256) as u8, (number * 30 % 256) as u8];
            Picture::new(256, 256, (0..256 * 256).flat_map(pixel).collect())
        };
        Ok(Self::Pictures((0..count).map(picture).collect::<Result<_, _>>()?))
    }

    /// Calls the model once; any item that fails fails the call.
    pub(super) fn call(&self, model: &mut LoadedModel, batch: usize) -> anyhow::Result<()> {
        match (model, self) {
            (LoadedModel::TextToImage(model), Self::Texts(texts)) => {
                let requests: Vec<_> =
                    texts[..batch].iter().map(|input| Request { input: input.as_str(), seed: 1 }).collect();
                model.generate(&requests).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::TextEmbedder(model), Self::Texts(texts)) => {
                let texts: Vec<&str> = texts[..batch].iter().map(String::as_str).collect();
                model.embed(&texts).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::ImageToText(model), Self::Pictures(pictures)) => {
                let requests: Vec<_> = pictures[..batch].iter().map(|input| Request { input, seed: 1 }).collect();
                model.describe(&requests).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::ImageEmbedder(model), Self::Pictures(pictures)) => {
                let pictures: Vec<&Picture> = pictures[..batch].iter().collect();
                model.embed(&pictures).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            _ => anyhow::bail!("the model is of another kind than it is listed with"),
        }
        Ok(())
    }
}
