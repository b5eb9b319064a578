"""Which keys of a `config.json` may be passed over, because nothing of the forward pass depends on them. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.families import Family

USED = {
    "model_type",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "vocab_size",
    "max_position_embeddings",
    "tie_word_embeddings",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "attention_bias",
    "mlp_bias",
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "layer_types",
    "quantization",
    "quantization_config",
    "compression_config",
}
# what transformers writes into every config: bookkeeping, training, and how text is drawn from the logits
INERT = {
    "architectures",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "transformers.js_config",
    "name_or_path",
    "attn_implementation",
    "tokenizer_class",
    "tokenizer_model_max_length",
    "tokenizer_padding_side",
    "model_max_length",
    "max_sequence_length",
    "seq_length",
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "unk_token_id",
    "sep_token_id",
    "decoder_start_token_id",
    "attention_dropout",
    "hidden_dropout",
    "residual_dropout",
    "embedding_dropout",
    "classifier_dropout",
    "initializer_range",
    "use_cache",
    "gradient_checkpointing",
    "pretraining_tp",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    "return_dict",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict_in_generate",
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "task_specific_params",
    "prefix",
    "max_length",
    "min_length",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "num_return_sequences",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "chunk_size_feed_forward",
    "is_decoder",
    "is_llama_config",
    "use_flash_attn",
    "use_flash_attention",
    "use_flash_attention_2",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "keys_to_ignore_at_inference",
    "model_name",
    "base_model",
    "license",
}
# said by some, and without effect as long as it is this
WITHOUT_EFFECT: dict[str, Any] = {
    "rope_interleaved": False,
    "partial_rotary_factor": 1,
    "bias": False,
    "qkv_bias": False,
    "use_mrope": False,
    "use_qk_norm": False,
    "use_parallel_residual": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "tie_encoder_decoder": False,
    "pruned_heads": {},
}
INERT_PREFIXES = ("_", "unsloth_")


def refuse_unknown(raw: Mapping[str, Any], family: Family | None = None) -> None:
    """Raises ModelError for a key that says something nobody here reads. A key that is null says nothing."""
    used, fixed = USED, WITHOUT_EFFECT
    if family:
        used, fixed = USED | family.keys | family.renamed.keys(), {**WITHOUT_EFFECT, **family.fixed}
    for key, value in raw.items():
        if key in used or key in INERT or key.startswith(INERT_PREFIXES) or value is None:
            continue
        if key not in fixed or value != fixed[key]:
            raise ModelError(
                f"config.json has {key!r} = {value!r:.60}, which llm-holes does not know and might have to honour",
                "If it changes nothing that is computed, take it out of config.json; else use another model.",
            )
