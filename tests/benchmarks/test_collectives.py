"""HLO as CPUs, GPUs and TPUs write it; `tests/test_step.py` reads that of the real step."""

import pytest

from benchmarks.collectives import Array, Collective, collectives, host_transfers

SLICE = """
  %a = f32[128,64]{1,0:T(8,128)S(1)} all-gather(%x), channel_id=46, replica_groups=\
mesh['axis_0'=16,'axis_1'=2] {'axis_0'}, dimensions={0}, metadata={op_name="jit(step)/dot_general" stack_frame_id=401}
  %b = f32[128,64]{1,0:T(8,128)} all-gather(%y), channel_id=46, replica_groups=\
mesh['axis_0'=16,'axis_1'=2] {'axis_0'}, dimensions={0}, metadata={op_name="jit(step)/dot_general" stack_frame_id=401}
  %c = (bf16[7,7]{1,0:T(8,128)(2,1)}, f32[]) all-reduce(%p, %q), channel_id=1, \
replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%r
  %d = f32[8,64]{1,0} reduce-scatter(%z), channel_id=2, replica_groups=[2,16]<=[32], dimensions={0}, to_apply=%r
"""
BETWEEN = """
  %s = (f32[8,64]{1,0}, u32[]{:S(2)}, token[]) send(%v, %t), channel_id=21, is_host_transfer=true, frontend_attributes=\
{_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_host_transfer_rendezvous="all-gather.33_0",\
_xla_megascale_target="x",_xla_megascale_transfer_type="ALL_GATHER"}
  %r = (f32[16,64]{1,0}, u32[]{:S(2)}, token[]) recv(%t), channel_id=20, is_host_transfer=true, frontend_attributes=\
{_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_host_transfer_rendezvous="all-gather.33_0",\
_xla_megascale_target="x",_xla_megascale_transfer_type="ALL_GATHER"}
"""


def test_each_is_read_once_with_what_it_moves():
    gather, reduce, scatter = collectives(SLICE)
    assert gather == Collective("all-gather", (Array("f32", (128, 64)),), 16)
    assert gather.sent == 4 * 128 * 64
    assert reduce == Collective("all-reduce", (Array("bf16", (7, 7)), Array("f32", ())), 4)
    assert (reduce.size, reduce.sent) == (50, 2 * (2 * 49 + 4))
    assert scatter == Collective("reduce-scatter", (Array("f32", (8, 64)),), 16)
    assert scatter.moves("f32", 128 * 64)
    assert (scatter.size, scatter.sent) == (128 * 64, 4 * 128 * 64)


def test_between_slices_hosts_pass_on_and_are_not_waited_for():
    (one,) = collectives(BETWEEN)
    assert (one.kind, one.slow, one.sent) == ("all-gather", True, 4 * 8 * 64)
    assert not host_transfers(BETWEEN)


def test_what_waits_for_the_host_is_found():
    hlo = (
        '%i = ((f32[4]), token[]) infeed(%t)\n%c = f32[4] custom-call(%x), custom_call_target="xla_python_cpu_callback"'
    )
    assert len(host_transfers(hlo)) == 2


def test_groups_that_cannot_be_read_are_no_guess():
    with pytest.raises(ValueError, match="replica groups written in another way"):
        collectives("%a = f32[4] all-reduce(%x), channel_id=1, replica_groups=anew, to_apply=%r")
