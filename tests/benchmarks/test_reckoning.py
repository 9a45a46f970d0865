"""Calls of the attention kernel, and estimates, as libtpu writes them."""

from benchmarks.reckoning import attention_flops, seconds_by_source

CALL = """
  %splash_mha_{part}.1 = (f32[8,256,64]{{2,1,0:T(8,128)}}, bf16[8,12,1792,64]{{3,2,1,0:T(8,128)(2,1)}}) custom-call(\
%a, %custom-call, /*index=5*/%c), custom_call_target="tpu_custom_call", operand_layout_constraints=\
{{s8[1,7,1]{{2,1,0}}, bf16[8,12,1792,64]{{3,2,1,0}}, bf16[8,12,512,64]{{3,2,1,0}}, \
bf16[8,12,512,64]{{3,2,1,0}}, s32[1792,128]{{1,0}}}}
  %custom-call.2 = bf16[8,12,1792,64]{{3,2,1,0}} custom-call(%splash_mha_{part}.1), custom_call_target="ConcatBitcast"
"""
ONE = 2 * 8 * 12 * 1792 * 512 * 64  # one product


def test_the_products_of_each_part_are_counted():
    parts = ("fwd_segmented_residuals", "dq_segmented_no_residuals", "dkv_no_residuals", "fwd_no_residuals")
    found = [attention_flops(CALL.format(part=part)) / ONE for part in parts]
    assert found == [2, 3, 4, 2]
    assert attention_flops("".join(CALL.format(part=part) for part in parts)) == 11 * ONE
    assert attention_flops("%dot.1 = bf16[8,12,1792,64]{3,2,1,0} dot(%a, %b)") == 0


ENTRY = """
%inner (a: f32[8]) -> f32[8] {
  ROOT %b = f32[8] copy(%a), metadata={op_name="jit(step)/inner"}, backend_config={"estimated_cycles":"15000"}
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %c = f32[8] fusion(%a), metadata={op_name="jit(step)/jvp()/add" frame=1}, backend_config={"estimated_cycles":"3000"}
  %d = f32[8] fusion(%c), metadata={op_name="jit(step)/jvp()/mul"}, backend_config={"estimated_cycles":"9000"}
  %e = f32[8] copy(%d), backend_config={"estimated_cycles":"1500"}
  %f = f32[8] all-reduce(%e), metadata={op_name="jit(step)/jvp()/add"}
  ROOT %g = f32[8] fusion(%f), metadata={op_name="jit(step)/jvp()/add"}, backend_config={"estimated_cycles":"3000"}
}
"""


def test_cycles_of_the_step_become_seconds_by_operation():
    found = seconds_by_source(ENTRY)
    assert list(found) == ["jvp()/mul", "jvp()/add", "(none)"]
    assert [round(1e6 * seconds, 9) for seconds in found.values()] == [6, 4, 1]
