"""The programs that ``make clients`` runs against the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

DRIVERS: Final = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class Program:
    """A program of others, and the driver that runs it.

    :param requirement: the package and its version, as pip (``name==1.0``) or npm and Go
        (``name@1.0``) write it.
    :param driver: the script below ``drivers/``, whose ending tells the language.
    :param others: more packages that the driver needs.
    :param is_quick: whether CI runs it.
    """

    requirement: str
    driver: str
    others: tuple[str, ...] = ()
    is_quick: bool = False

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.requirement[: -len(self.version)].rstrip("=@").partition("[")[0]

    @property
    def version(self) -> str:
        """The version of the package."""
        return self.requirement.replace("==", "@").rpartition("@")[2]

    @property
    def language(self) -> Literal["Python", "Node", "Go"]:
        """What runs the driver."""
        return (
            "Node"
            if self.path.suffix == ".mjs"
            else "Go"
            if self.path.suffix == ".go"
            else "Python"
        )

    @property
    def path(self) -> Path:
        """The driver."""
        return DRIVERS / self.driver


PROGRAMS: Final = (
    Program("openai==3.57.0", "openai_package.py", is_quick=True),
    Program("openrouter==1.3.84", "openrouter_package.py", is_quick=True),
    Program("@openrouter/sdk@1.3.19", "openrouter_sdk.mjs", is_quick=True),
    # It asks for Node 22, and works with Node 20.
    Program(
        "@openrouter/ai-sdk-provider@3.1.0",
        "ai_sdk_provider.mjs",
        ("ai@7.0.173", "zod@4.6.7"),
    ),
    Program("pydantic-ai-slim[openai]==2.68.0", "pydantic_ai_agents.py", is_quick=True),
    Program("litellm==1.110.2", "litellm_package.py"),
    Program("langchain-openai==1.7.4", "langchain_openai_chat.py"),
    Program("langchain-openrouter==0.2.9", "langchain_openrouter_chat.py"),
    Program(
        "@langchain/openrouter@0.4.11",
        "langchain_openrouter.mjs",
        ("@langchain/core@1.4.0", "zod@4.6.7"),
    ),
    Program("instructor==1.17.0", "instructor_package.py"),
    Program("llm-openrouter==0.7.1", "llm_openrouter_plugin.py", ("llm==0.36",)),
    Program("gptme==0.35.1", "gptme_login.py"),
    Program("aider-chat==0.86.2", "aider_login.py"),
    Program("github.com/OpenRouterTeam/go-sdk@v0.7.67", "openrouter_go.go"),
)
