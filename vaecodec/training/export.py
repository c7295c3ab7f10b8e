"""From a trained VAE to a model file: float16 weights, integer layers, integer tables; and back, for a warm start."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as save_safetensors

from vaecodec.bitstream.coder import check_tables
from vaecodec.bitstream.spec import HYPER_LIMIT, SCALES
from vaecodec.bitstream.tables import TOTAL, PackedTables, hyper_tables, latent_tables
from vaecodec.errors import ModelError
from vaecodec.model.file import ModelFile
from vaecodec.model.layers import EXACT_BIAS_UNIT, PARAMETER_UNITS, expected_tensors
from vaecodec.nets.torch.exact import ExactConv, quantise_weight
from vaecodec.nets.torch.vae import VAE
from vaecodec.system.output import write_whole
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.start.grow import can_become, grow
from vaecodec.training.start.narrow import narrow


def _integers(values: torch.Tensor, unit: int, name: str) -> np.ndarray:
    """Real parameters as int16 in 1/unit."""
    scaled = (values.detach().cpu().float() * unit).round().numpy()
    if np.abs(scaled).max(initial=0) > np.iinfo(np.int16).max:
        raise ModelError(f"parameter {name} does not fit its 16 bits")
    return scaled.astype(np.int16)


def _exact_tensors(vae: VAE) -> dict[str, np.ndarray]:
    tensors = {}
    for name, module in vae.named_modules():
        if isinstance(module, ExactConv):
            weight, shift = quantise_weight(module.weight.detach().cpu())
            tensors[f"{name}.weight"] = weight.numpy().astype(np.int8)
            tensors[f"{name}.shift"] = shift.numpy().astype(np.uint8)
            tensors[f"{name}.bias"] = _integers(module.bias, EXACT_BIAS_UNIT, f"{name}.bias")
    for name, unit in PARAMETER_UNITS.items():
        tensors[name] = _integers(vae.get_parameter(name), unit, name)
    return tensors


def _table_tensors(name: str, tables: PackedTables) -> dict[str, np.ndarray]:
    if not check_tables(tables):
        raise ModelError("this version of constriction does not reproduce our probability tables")
    return {f"tables.{name}.counts": tables.counts, f"tables.{name}.radius": tables.radius}


@torch.no_grad()
def export_model(
    vae: VAE,
    entropy: EntropyModels,
    path: Path,
    bpp_range: tuple[float, float] | None = None,
    mixtures: np.ndarray | None = None,
    work: dict[str, dict[str, float]] | None = None,
) -> None:
    """Write a model file; raises ModelError if an integer layer could overflow or a weight is not finite.

    `mixtures` (SCALES, SCALES) from mixtures.fit_mixtures shape the tables of the latents; without them they are
    Gaussian. `work` (work.Work.done) is recorded in the file.
    """
    vae.prior.check_bounds()
    tensors = _exact_tensors(vae)
    for name, parameter in vae.named_parameters():
        if name not in tensors:
            tensors[name] = parameter.detach().cpu().contiguous().numpy().astype(np.float16)
            if not np.isfinite(tensors[name]).all():
                raise ModelError(f"weight {name} is not finite in float16")
    tensors |= _table_tensors("latent", latent_tables(np.eye(SCALES) if mixtures is None else mixtures))
    tensors |= _table_tensors("hyper", hyper_tables(entropy.hyper_probabilities().double().cpu().numpy()))
    for name, (dtype, shape) in expected_tensors(vae.config).items():
        assert (tensors[name].dtype, tensors[name].shape) == (dtype, shape), name
    metadata = {"format": "vaecodec-model-1", "config": vae.config.to_json()}
    if bpp_range:
        metadata["bpp_range"] = f"{bpp_range[0]:.4f} {bpp_range[1]:.4f}"
    if work:
        metadata["work"] = json.dumps(work)
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in sorted(tensors.items())}
    write_whole(path, save_safetensors(tensors, metadata), overwrite=True)


def warm_start(model: ModelFile, vae: VAE, entropy: EntropyModels, sampler: CropSampler | None = None) -> None:
    """Set the weights of a new run from a model file of the same configuration (except for its name), or of one that
    can become it; `sampler` provides pictures for new latents and narrower blocks."""
    from vaecodec.nets.torch.backend import load_vae

    model.require_encoder()
    if not can_become(model.config, vae.config):
        raise ModelError(f"cannot start from {model.path}: another configuration")
    source = load_vae(model).to(vae.norm.device)
    if source.config.expansion > vae.config.expansion:
        assert sampler is not None
        source = narrow(source, vae.config.expansion, sampler)
    grow(source, vae, sampler)
    config, packed = model.config, model.hyper_tables.packed
    probabilities = torch.zeros(config.anchors * config.hyper_latents, 2 * HYPER_LIMIT + 1)
    for index, radius in enumerate(packed.radius.tolist()):
        counts = torch.from_numpy(packed.table(index)[:-1].astype(np.float32))
        probabilities[index, HYPER_LIMIT - radius : HYPER_LIMIT + radius + 1] = counts / TOTAL
    shape = (config.anchors, config.hyper_latents, -1)
    entropy.fit(probabilities.reshape(shape).to(entropy.bottleneck.quantiles.device))
