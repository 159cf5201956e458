"""How a network's weights begin."""

from torch import nn

from selfpose6d.network.fusion import PixelGate
from selfpose6d.network.pspnet import ResidualBlock


def initialise(network: nn.Module) -> None:
    """Weights of every convolution and linear layer so that signals neither fade nor grow; biases 0.

    torch's own start lets the colours fade: the embedding of one crop differs from another's by 1e-4 of
    what it does here, and training stands still until it has found them. Residual branches start at 0,
    gates open.

    Reference: He et al., Delving deep into rectifiers, 2015; Zhang et al., Fixup initialization, 2019.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.start_as_shortcut()
        elif isinstance(module, PixelGate):
            module.start_open()
