namespace Dalle.Data.Scenes;

public enum SceneColor
{
    Red = 0,
    Green = 1,
    Blue = 2,
    Yellow = 3,
    Purple = 4,
    Cyan = 5,
}

public enum SceneShape
{
    Circle = 0,
    Square = 1,

    /// <summary>Stands on its base.</summary>
    Triangle = 2,

    /// <summary>A plus sign.</summary>
    Cross = 3,
}

/// <summary>How far an object reaches from edge to edge.</summary>
public enum SceneSize
{
    /// <summary>10 pixels.</summary>
    Small = 0,

    /// <summary>14 pixels.</summary>
    Large = 1,
}

/// <summary>Where the first object is, seen from the second.</summary>
public enum SceneRelation
{
    Above = 0,
    Below = 1,
    LeftOf = 2,
    RightOf = 3,
}

/// <summary>The numbers and words behind the vocabulary of scenes.</summary>
public static class SceneVocabulary
{
    /// <summary>Height and width of a scene in pixels.</summary>
    public const int ImageSize = 32;

    public const int Colors = 6;
    public const int Shapes = 4;
    public const int Sizes = 2;
    public const int Relations = 4;

    // Far apart both as points and as directions from white, so that a pale or blurred object keeps its colour.
    private static readonly (byte R, byte G, byte B)[] Paints =
        [(220, 30, 30), (30, 160, 50), (30, 60, 220), (240, 200, 20), (160, 40, 200), (20, 190, 220)];

    public static (byte R, byte G, byte B) Paint(this SceneColor color) => Paints[(int)color];

    /// <summary>From edge to edge, in pixels.</summary>
    public static int Extent(this SceneSize size) => size == SceneSize.Small ? 10 : 14;

    /// <summary>The relation that says the same with the objects named in the other order.</summary>
    public static SceneRelation Inverse(this SceneRelation relation) => relation switch
    {
        SceneRelation.Above => SceneRelation.Below,
        SceneRelation.Below => SceneRelation.Above,
        SceneRelation.LeftOf => SceneRelation.RightOf,
        _ => SceneRelation.LeftOf,
    };
}
